"""Compare models: the shipped encoder with the published one, precisions, batches, translation."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from bench.timing import Comparison, compare
from export.quantise import quantise_to_int8
from export.rounded_graphs import encoder_tensors
from export.to_onnx import encoder_graph_spec, export_graph
from model_training.encoder import build_encoder
from model_training.encoder.config import ReferenceConfig
from model_training.fusion.selection import PUBLISHED_ALPHA
from model_training.training.config import load_config
from model_training.translator.schedule import BridgeSchedule, coefficient_table
from model_training.translator.train import TranslatorConfig
from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import BundleError
from service.contract.manifest import FusionSpec
from service.contract.preprocess import prepare
from service.inference.embedder import Embedder, build_embedder, load_embedder
from service.inference.session import open_session
from service.settings import SHIPPED_BUNDLE

BATCH = 8
SINGLE_CHIP = "embed a SAR chip"
PUBLISHED_SAMPLES = 5
TRANSLATOR_CONFIG = Path(__file__).parents[1] / "model_training/configs/translator-simulation.yaml"
"""The run that the shipped translator goes on from, which samples in several steps."""


def chips(count: int) -> list[Chip]:
    """Draw SAR chips of noise, 200 x 40 pixels."""
    rng = np.random.default_rng(0)
    return [
        Chip(
            (rng.exponential(size=(200, 40)) * 40).astype(np.float32),
            Modality.SAR,
            1.0,
            "parameter",
            "float32",
            f"{number:064x}",
        )
        for number in range(count)
    ]


def compare_models(threads: int) -> Iterator[Comparison]:
    """Yield the comparisons of encoders, batches, translation and enrolment."""
    torch.set_num_threads(threads)
    embedder = load_embedder(SHIPPED_BUNDLE, "cpu", threads)
    sar = chips(BATCH)

    reference = build_encoder(ReferenceConfig(kind="reference")).eval()
    spec = ReferenceConfig(kind="reference").preprocess

    def published() -> None:
        chip = prepare(sar[0], spec)
        with torch.inference_mode():
            reference(
                torch.from_numpy(chip.pixels[None]),
                torch.tensor([1]),
                torch.from_numpy(chip.size_token[None]),
            )

    yield compare(
        SINGLE_CHIP,
        ("shipped bundle, ONNX Runtime", lambda: embedder.embed_many(sar[:1])),
        ("published encoder (ViT-B), PyTorch", published),
    )
    yield compare(
        f"embed {BATCH} SAR chips, each",
        ("one batch", lambda: embedder.embed_many(sar)),
        ("one by one", lambda: [embedder.embed_many([chip]) for chip in sar]),
        units=BATCH,
    )
    yield compare_enrolment(embedder, threads)


def compare_published(threads: int, config: ReferenceConfig | None = None) -> Iterator[Comparison]:
    """Yield graphs of the published encoder (ViT-B) beside PyTorch, in batches of 1 and `BATCH`.

    The weights are random: they have the shapes of the published ones, and speed does not depend
    on their values.
    """
    config = config or ReferenceConfig(kind="reference")
    torch.set_num_threads(threads)
    module = build_encoder(config).eval()
    inputs = encoder_tensors(chips(BATCH), config.preprocess)
    size = (config.preprocess.height, config.preprocess.width)
    spec = encoder_graph_spec("float32.onnx", *size, config.embedding_width)
    with TemporaryDirectory() as folder:
        full, rounded = Path(folder) / spec.file, Path(folder) / "int8.onnx"
        export_graph(module, spec, full)
        quantise_to_int8(full, rounded, inputs)
        sessions = {p.stem: open_session(p, spec, "cpu", threads) for p in (full, rounded)}
    for batch in (1, BATCH):
        part = {name: values[:batch] for name, values in inputs.items()}
        tensors = [torch.from_numpy(part[tensor.name]) for tensor in spec.inputs]

        def eager(tensors: list[torch.Tensor] = tensors) -> None:
            with torch.inference_mode():
                module(*tensors)

        chips_each = "one chip" if batch == 1 else f"{batch} chips, each,"
        for precision, session in sessions.items():
            yield compare(
                f"encode {chips_each} with the published encoder (ViT-B)",
                (f"ONNX Runtime, {precision}", partial(session.run, part)),
                ("PyTorch, float32", eager),
                units=batch,
            )


def compare_enrolment(shipped: Embedder, threads: int) -> Comparison:
    """Compare embedding an optical chip from its bytes with shipped and with published settings.

    The published settings are the published K and the steps that the translator was trained for,
    with the same graphs. The gallery is not included.
    """
    bundle = open_bundle(SHIPPED_BUNDLE)
    golden = bundle.manifest.golden
    first = golden.modalities.index(Modality.OPTICAL.value)
    data = bundle.file(golden.chips[first]).read_bytes()

    def enrol(embedder: Embedder) -> None:
        chip = decode_chip(data, modality=Modality.OPTICAL, gsd_m=golden.gsd_m[first])
        embedder.embed_many([chip])

    bridge = load_config(TRANSLATOR_CONFIG, TranslatorConfig).bridge
    published = build_embedder(
        with_sampler(bundle, PUBLISHED_SAMPLES, bridge.steps, bridge.eta), "cpu", threads
    )
    return compare(
        "embed one optical chip to enrol it",
        (f"as shipped: {_sampling(shipped)}", lambda: enrol(shipped)),
        (f"published K, steps as trained: {_sampling(published)}", lambda: enrol(published)),
    )


def with_sampler(bundle: Bundle, samples: int, steps: int, eta: float) -> Bundle:
    """Return the bundle with another K and number of steps, which change its embeddings.

    Raises:
        BundleError: the bundle has no translator.
        ValueError: steps or eta are out of range.
    """
    manifest = bundle.manifest
    translator = manifest.translator
    if translator is None:
        raise BundleError(f"bundle {manifest.name} has no translator")
    schedule = BridgeSchedule(translator.times, translator.max_variance)
    table = coefficient_table(schedule, steps, eta)
    fusion = FusionSpec(samples=samples, alpha=manifest.fusion.alpha or PUBLISHED_ALPHA)
    resampled = translator.model_copy(update={"steps": tuple(table)})
    changed = {"translator": resampled, "fusion": fusion}
    return replace(bundle, manifest=manifest.model_copy(update=changed))


def _sampling(embedder: Embedder) -> str:
    manifest = embedder.manifest
    steps = len(manifest.translator.steps) if manifest.translator else 0
    return f"K = {manifest.fusion.samples}, steps: {steps}"
