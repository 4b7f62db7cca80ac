"""Export models and write them, with their card and golden vectors, as a verified bundle."""

import io
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.bundle_folder import write_bundle
from export.model_card import UNCALIBRATED, CardFacts, model_card
from export.parity import Parity, Tensors, check_parity
from export.rounded_graphs import (
    FullGraph,
    RoundedGraphs,
    ValidationShips,
    encoder_tensors,
    round_graphs,
)
from export.sample_chips import SampleChip
from export.to_onnx import encoder_graph_spec, export_graph, translator_graph_spec
from service.contract.bridge import BridgeStep
from service.contract.bundle import Bundle
from service.contract.chip import Modality
from service.contract.errors import BundleError
from service.contract.manifest import (
    EncoderSpec,
    FusionSpec,
    GoldenSpec,
    GraphSpec,
    Metric,
    PreprocessSpec,
    TrainingSpec,
    TranslatorSpec,
)
from service.contract.preprocess import to_picture
from service.contract.translation import bridge_picture, bridge_start
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, LogisticSpec
from service.inference.embedder import build_embedder

ENCODER_FILE, TRANSLATOR_FILE = "encoder.onnx", "translator.onnx"
CARD_FILE, VECTORS_FILE = "MODEL_CARD.md", "golden/embeddings.npy"
GOLDEN_PER_MODALITY = 2

_EQUAL_CHOICE = ChoiceSpec(weights={}, none_bias=0.0, none_log_gallery=0.0)
NO_CALIBRATION = CalibrationSpec(
    match=_EQUAL_CHOICE,
    verify=LogisticSpec(bias=0.0, weights={}),
    match_same_sensor=_EQUAL_CHOICE,
    verify_same_sensor=LogisticSpec(bias=0.0, weights={}),
    confident_from=1.0,
    fitted_on=UNCALIBRATED,
)
"""All vessels and "none of them" are equally probable, and verdicts mean nothing."""


@dataclass(frozen=True, slots=True)
class EncoderPart:
    """An encoder to export: `module` in eval mode on the CPU."""

    module: nn.Module
    preprocess: PreprocessSpec
    embedding_width: int


@dataclass(frozen=True, slots=True)
class TranslatorPart:
    """A translator to export and the steps of its sampler: `module` in eval mode on the CPU."""

    module: nn.Module
    height: int
    width: int
    channels: Literal[1, 3]
    times: int
    max_variance: float
    steps: Sequence[BridgeStep]


@dataclass(frozen=True, slots=True)
class KeptTranslator:
    """The translator of another bundle, taken over as it is: its size is not the encoder's."""

    spec: TranslatorSpec
    graph: Path


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """The parts of a bundle.

    Attributes:
        chips: at least eight chips, for parity; the first two of each modality become golden.
        notes: remarks for the model card.
        validation: ships on which rounded graphs of the encoder are tried; None: none is tried.
    """

    name: str
    method: str
    encoder: EncoderPart
    training: TrainingSpec
    licences: dict[str, str]
    chips: Sequence[SampleChip]
    translator: TranslatorPart | KeptTranslator | None = None
    fusion: FusionSpec = field(default_factory=FusionSpec)
    calibration: CalibrationSpec = NO_CALIBRATION
    metrics: Sequence[Metric] = ()
    notes: Sequence[str] = ()
    validation: ValidationShips | None = None


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A written bundle.

    Attributes:
        bundle: verified.
        parity: of its graphs with their modules, by file name.
        tried: a sentence about each rounded graph of the encoder that was tried.
    """

    bundle: Bundle
    parity: dict[str, Parity]
    tried: tuple[str, ...] = ()


def build_bundle(plan: BundlePlan, out: Path, *, replace_existing: bool = False) -> BuiltBundle:
    """Export, compare, embed the golden chips, write card and manifest, and verify the bundle.

    Raises:
        ParityError: a graph's output differs from its module's.
        BundleError: the parts are inconsistent, or `out` exists already.
    """
    if plan.fusion.samples and plan.translator is None:
        raise BundleError("fusion needs pseudo-SAR pictures, but there is no translator")
    with tempfile.TemporaryDirectory() as scratch:
        graphs = Path(scratch) / "graphs"
        graphs.mkdir()
        full, parity = _export_encoder(plan, graphs)
        rounded = RoundedGraphs((), {}, ())
        if plan.validation is not None:
            rounded = round_graphs(full, plan.validation)
        encoder = full.spec.model_copy(update={"rounded": rounded.specs})
        parity |= rounded.parity
        translator = None
        if isinstance(plan.translator, KeptTranslator):
            translator = plan.translator.spec
            shutil.copy(plan.translator.graph, graphs / translator.graph.file)
        elif plan.translator:
            translator, parity[TRANSLATOR_FILE] = _export_translator(
                plan.translator, _optical_conditions(plan, plan.translator), graphs
            )
        facts = CardFacts(
            name=plan.name,
            method=plan.method,
            preprocess=plan.encoder.preprocess,
            encoder=encoder,
            translator=translator,
            fusion=plan.fusion,
            calibration=plan.calibration,
            training=plan.training,
            metrics=plan.metrics,
            licences=plan.licences,
            notes=plan.notes,
        )
        golden = golden_chips(plan.chips)
        fields = _manifest_fields(facts, golden)
        files: dict[str, bytes | Path] = {
            **{path.name: path for path in graphs.iterdir()},
            **{f"golden/{chip.name}": chip.data for chip in golden},
            CARD_FILE: model_card(facts).encode(),
            VECTORS_FILE: b"",
        }
        # a bundle with an empty vector file serves to compute the vectors of the final bundle
        without_vectors = write_bundle(
            Path(scratch) / "without-vectors", fields | {"encoder": full.spec}, files
        )
        files[VECTORS_FILE] = _golden_vectors(without_vectors)
        bundle = write_bundle(out, fields, files, replace=replace_existing)
    build_embedder(bundle, "cpu", threads=1).verify_golden()
    return BuiltBundle(bundle, parity, rounded.sentences)


def golden_chips(chips: Sequence[SampleChip]) -> list[SampleChip]:
    """Return the first two optical and the first two SAR chips."""
    return [
        chip
        for modality in Modality
        for chip in [c for c in chips if c.modality is modality][:GOLDEN_PER_MODALITY]
    ]


def encoder_inputs(chips: Sequence[SampleChip], spec: PreprocessSpec) -> Tensors:
    """Prepare chips as the tensors of an encoder, see `encoder_tensors`."""
    return encoder_tensors([chip.decode() for chip in chips], spec)


def _manifest_fields(facts: CardFacts, golden: Sequence[SampleChip]) -> dict[str, Any]:
    """Return the manifest's fields without the list of files."""
    return {
        "name": facts.name,
        "created_at": datetime.now(UTC).replace(microsecond=0),
        "method": facts.method,
        "preprocess": facts.preprocess,
        "encoder": facts.encoder,
        "translator": facts.translator,
        "fusion": facts.fusion,
        "calibration": facts.calibration,
        "training": facts.training,
        "metrics": tuple(facts.metrics),
        "licences": facts.licences,
        "golden": GoldenSpec(
            chips=tuple(f"golden/{chip.name}" for chip in golden),
            modalities=tuple(chip.modality.value for chip in golden),
            gsd_m=tuple(chip.gsd_m for chip in golden),
            embeddings=VECTORS_FILE,
        ),
        "model_card": CARD_FILE,
    }


def _export_encoder(plan: BundlePlan, folder: Path) -> tuple[FullGraph, dict[str, Parity]]:
    part = plan.encoder
    spec = part.preprocess
    graph = encoder_graph_spec(ENCODER_FILE, spec.height, spec.width, part.embedding_width)
    tensors = encoder_inputs(plan.chips, spec)
    parity = _export_part(part.module, graph, tensors, folder)
    encoder = EncoderSpec(graph=graph, embedding_width=part.embedding_width)
    full = FullGraph(part.module, folder / graph.file, encoder, spec, tensors)
    return full, {graph.file: parity}


def _export_translator(
    part: TranslatorPart, conditions: NDArray[np.float32], folder: Path
) -> tuple[TranslatorSpec, Parity]:
    graph = translator_graph_spec(TRANSLATOR_FILE, part.height, part.width, part.channels)
    y = bridge_start(conditions, part.channels)
    rng = np.random.default_rng(0)
    times = [step.t for step in part.steps]
    tensors: dict[str, NDArray[Any]] = {
        "x_t": y + rng.normal(0.0, 0.3, y.shape).astype(np.float32),
        "condition": conditions,
        "t": np.resize(np.array(times, np.int64), len(conditions)),
    }
    parity = _export_part(part.module, graph, tensors, folder)
    spec = TranslatorSpec(
        graph=graph,
        height=part.height,
        width=part.width,
        channels=part.channels,
        times=part.times,
        max_variance=part.max_variance,
        steps=tuple(part.steps),
    )
    return spec, parity


def _optical_conditions(plan: BundlePlan, part: TranslatorPart) -> NDArray[np.float32]:
    """Return float32 `[8, 3, h, w]`: the optical chips prepared for the bridge, repeated."""
    chips = [chip.decode() for chip in plan.chips if chip.modality is Modality.OPTICAL]
    pictures = [
        bridge_picture(to_picture(chip, plan.encoder.preprocess), part.height, part.width)
        for chip in chips
    ]
    # [chips, 3, h, w] -> [8, 3, h, w]; np.resize repeats whole pictures
    return np.resize(np.stack(pictures), (8, 3, part.height, part.width))


def _export_part(module: nn.Module, spec: GraphSpec, tensors: Tensors, folder: Path) -> Parity:
    """Export in full precision and check the parity of the file."""
    export_graph(module, spec, folder / spec.file)
    return check_parity(module, folder / spec.file, spec, tensors)


def _golden_vectors(bundle: Bundle) -> bytes:
    embedder = build_embedder(bundle, "cpu", threads=1)
    vectors = np.stack([e.vector for e in embedder.embed_many(embedder.golden_chips())])
    stream = io.BytesIO()
    np.save(stream, vectors)
    return stream.getvalue()
