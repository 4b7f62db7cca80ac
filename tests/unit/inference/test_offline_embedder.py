"""The embedder of the evaluation keeps the embeddings before and after fusion apart."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from model_training.cli.main import app
from model_training.embedding.bundle_embedder import BundleEmbedder
from service.contract.chip import Modality
from service.contract.errors import BundleError
from service.inference.embedder import build_embedder
from tests.support.training.tiny_bundle import MakeBundle, noise_chip

CHIPS = [
    replace(noise_chip(modality, seed), cut_out=seed == 3)
    for seed in range(4)
    for modality in Modality
]


def test_embeddings_equal_those_of_the_service(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(translator=True)
    expected = [e.vector for e in build_embedder(bundle, "cpu", 1).embed_many(CHIPS)]
    found = BundleEmbedder(bundle.path, threads=1)(CHIPS)
    np.testing.assert_allclose(found.served, np.stack(expected), atol=1e-5)
    optical = [chip.modality is Modality.OPTICAL for chip in CHIPS]
    changed = np.abs(found.served - found.plain).max(axis=1) > 1e-4
    assert changed.tolist() == optical


def test_without_fusion_the_plain_embedding_is_served(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(translator=False)
    expected = [e.vector for e in build_embedder(bundle, "cpu", 1).embed_many(CHIPS)]
    found = BundleEmbedder(bundle.path, threads=1)(CHIPS)
    assert found.fused is None
    np.testing.assert_allclose(found.served, np.stack(expected), atol=1e-5)


def test_changed_bundle_is_rejected(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(translator=False)
    (bundle.path / "MODEL_CARD.md").write_text("another")
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md"):
        BundleEmbedder(bundle.path)


def test_evaluate_command_on_a_bundle(make_bundle: MakeBundle, tmp_path: Path) -> None:
    data = tmp_path / "chips"
    data.mkdir()
    rng = np.random.default_rng(0)
    for ship in range(6):
        rgb = rng.integers(0, 256, (40 + ship, 12, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(data / f"{ship:04d}_a_RGB.tif")
        sar = rng.gamma(1.0, 1.0, (30 + ship, 9)).astype(np.float32)
        Image.fromarray(sar).save(data / f"{ship:04d}_b_SAR.tif")
    bundle = make_bundle(translator=True)
    metrics = tmp_path / "metrics.json"
    arguments = ["evaluate", "--bundle", str(bundle.path), "--data", str(data), "--draws", "100"]
    result = CliRunner().invoke(app, [*arguments, "--json", "--out", str(metrics)])
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert set(report) == {"O2S", "S2O", "fuses"}
    assert report["fuses"] is True
    assert report["O2S"]["queries"] == report["O2S"]["gallery"] == 6
    assert report["S2O"]["without_fusion"]["queries"] == 6
    assert {m["dataset"] for m in json.loads(Path(metrics).read_text())} == {"chips"}
