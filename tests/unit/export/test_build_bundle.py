"""Bundles built from modules: accepted by the service, rounded, refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.build_bundle import (
    NO_CALIBRATION,
    BuiltBundle,
    BundlePlan,
    EncoderPart,
    TranslatorPart,
    build_bundle,
    golden_chips,
)
from export.checkpoints import kept_translator
from export.rounded_graphs import ValidationShips
from export.sample_chips import SampleChip
from model_training.translator.schedule import BridgeSchedule, coefficient_table
from service.contract.bundle import open_bundle
from service.contract.calibration import Evidence, probability
from service.contract.candidate_probabilities import contributions, probabilities_from_log_odds
from service.contract.chip import Modality
from service.contract.errors import BundleError
from service.contract.fusion import l2_normalise
from service.contract.manifest import FusionSpec, GraphSpec, Metric, PreprocessSpec, TrainingSpec
from service.contract.preprocess import prepare
from service.inference.embedder import load_embedder
from tests.support.training.tiny_models import EMBEDDING_WIDTH, HEIGHT, WIDTH

METRIC = Metric(dataset="test", protocol="S2O", name="mAP", value=50.0, low=40.0, high=60.0)


@pytest.fixture(scope="module")
def plan(encoder: nn.Module, translator: nn.Module, chips: list[SampleChip]) -> BundlePlan:
    return BundlePlan(
        name="tiny",
        method="random",
        encoder=EncoderPart(encoder, PreprocessSpec(height=HEIGHT, width=WIDTH), EMBEDDING_WIDTH),
        training=TrainingSpec(domain="simulated", description="none", datasets=("none",)),
        licences={"weights": "none"},
        chips=chips,
        translator=TranslatorPart(
            translator, 16, 8, 1, 1000, 1.0, coefficient_table(BridgeSchedule(), 3)
        ),
        fusion=FusionSpec(samples=2, alpha=0.1),
        metrics=(METRIC,),
        notes=("Fusion was not studied.",),
    )


@pytest.fixture(scope="module")
def built(plan: BundlePlan, tmp_path_factory: pytest.TempPathFactory) -> BuiltBundle:
    return build_bundle(plan, tmp_path_factory.mktemp("built") / "bundle")


def test_the_service_accepts_the_bundle(built: BuiltBundle) -> None:
    embedder = load_embedder(built.bundle.path, "cpu", threads=1)
    assert embedder.bundle_id == built.bundle.bundle_id
    assert embedder.verify_golden() > 0.99999
    assert set(built.parity) == {"encoder.onnx", "translator.onnx"}
    assert all(parity.smallest_cosine > 0.99999 for parity in built.parity.values())


def test_a_translator_is_taken_over_from_another_bundle(
    built: BuiltBundle, plan: BundlePlan, tmp_path: Path
) -> None:
    kept = kept_translator(built.bundle)
    again = build_bundle(replace(plan, translator=kept), tmp_path / "bundle")
    files = [bundle.bundle.manifest.files["translator.onnx"].sha256 for bundle in (built, again)]
    assert files[0] == files[1]
    assert again.bundle.manifest.translator == built.bundle.manifest.translator
    assert set(again.parity) == {"encoder.onnx"}


def test_the_manifest_has_the_settings_of_the_plan(built: BuiltBundle, plan: BundlePlan) -> None:
    manifest = open_bundle(built.bundle.path).manifest
    assert manifest.preprocess == plan.encoder.preprocess
    assert manifest.fusion == plan.fusion
    assert manifest.metrics == (METRIC,)
    assert manifest.training == plan.training
    assert manifest.translator is not None
    assert [step.t for step in manifest.translator.steps] == [999, 666, 333]
    assert manifest.golden.modalities == ("optical", "optical", "sar", "sar")
    assert manifest.golden.gsd_m == (0.75, 0.75, 1.0, 1.0)
    assert manifest.created_at.tzinfo is not None


def test_sar_embeddings_are_those_of_the_module(
    built: BuiltBundle, plan: BundlePlan, chips: list[SampleChip]
) -> None:
    embedder = load_embedder(built.bundle.path, "cpu", threads=1)
    sar = [chip.decode() for chip in chips if chip.modality is Modality.SAR]
    inputs = [prepare(chip, plan.encoder.preprocess) for chip in sar]
    with torch.inference_mode():
        raw = plan.encoder.module(
            torch.from_numpy(np.stack([item.pixels for item in inputs])),
            torch.ones(len(inputs), dtype=torch.int64),
            torch.from_numpy(np.stack([item.size_token for item in inputs])),
        )
    found = np.stack([embedded.vector for embedded in embedder.embed_many(sar)])
    assert np.allclose(found, l2_normalise(raw.numpy()), atol=1e-5)


@pytest.fixture
def reuse_exported_graph(exported: tuple[Path, GraphSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the exported graph instead of exporting again, which is slow and gives the same file."""
    monkeypatch.setattr(
        "export.build_bundle.export_graph",
        lambda _module, _spec, path: shutil.copy(exported[0], path),
    )


@pytest.mark.usefixtures("reuse_exported_graph")
def test_a_rounded_graph_that_passes_runs_on_its_device_beside_the_full_one(
    plan: BundlePlan, chips: list[SampleChip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.rounded_graphs.times_faster", lambda *_: 2.0)
    monkeypatch.setattr("export.rounded_graphs.map_change", lambda *_: {"S2O": 0.0, "O2S": 0.0})
    (tmp_path / "ships").mkdir()
    for chip in chips:
        (tmp_path / "ships" / chip.name).write_bytes(chip.data)
    ships = ValidationShips.read(tmp_path / "ships")
    plain = replace(plan, translator=None, fusion=FusionSpec())
    built = build_bundle(replace(plain, validation=ships), tmp_path / "bundle")
    encoder = built.bundle.manifest.encoder
    assert (encoder.graph.file, encoder.graph.precision) == ("encoder.onnx", "float32")
    assert encoder.graph_for("cpu").file == "encoder-int8.onnx"
    assert encoder.graph_for("tpu") == encoder.graph
    assert set(built.parity) == {"encoder.onnx", "encoder-int8.onnx"}
    assert "int8 for cpu is shipped" in built.tried[0]
    assert "On cpu the encoder computes in int8, 2 times faster" in (
        built.bundle.file("MODEL_CARD.md").read_text()
    )
    embedder = load_embedder(built.bundle.path, "cpu", threads=1)
    assert embedder.precision == "int8"
    assert embedder.min_golden_cosine <= embedder.verify_golden() < 0.9999999
    full = build_bundle(plain, tmp_path / "full").bundle
    vectors = [b.file("golden/embeddings.npy").read_bytes() for b in (built.bundle, full)]
    assert vectors[0] == vectors[1]


def test_fusion_without_a_translator_is_refused(plan: BundlePlan, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no translator"):
        build_bundle(replace(plan, translator=None), tmp_path / "bundle")


def test_golden_chips_are_two_of_each_sensor(chips: list[SampleChip]) -> None:
    names = [chip.name for chip in golden_chips(chips)]
    assert names == ["0000_RGB.tif", "0001_RGB.tif", "0000_SAR.tif", "0001_SAR.tif"]


def test_without_calibration_all_outcomes_are_equally_probable() -> None:
    evidence = Evidence(similarity=1.0, length_ratio=1.0, width_ratio=1.0)
    assert probability(evidence, NO_CALIBRATION.verify) == 0.5
    (parts,) = contributions([evidence], NO_CALIBRATION.match, gallery_vessels=100)
    choice = probabilities_from_log_odds([sum(parts.values()), 0.0])
    assert choice.none == choice.candidates[0] == choice.candidates[1]
    assert choice.none < NO_CALIBRATION.confident_from


def test_the_card_states_the_facts_of_the_manifest(built: BuiltBundle) -> None:
    card = built.bundle.file("MODEL_CARD.md").read_text()
    for fact in (
        "# tiny",
        "Domain: **simulated**",
        "| test | S2O | mAP | 50.0 | 40.0 to 60.0 | - | - |",
        "learnt from simulated ships alone",
        "**not calibrated**",
        "2 pseudo-SAR embeddings at weight 0.1",
        "Fusion was not studied.",
        "weights: none",
    ):
        assert fact in card
