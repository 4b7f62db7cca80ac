"""A bundle with another calibration keeps its models."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.cli import app
from export.recalibrate import recalibrate_bundle
from service.contract.bundle import open_bundle
from service.contract.errors import BundleError
from service.contract.manifest import Metric
from tests.support.paths import SHIPPED_BUNDLE


def test_the_models_stay_and_the_probabilities_change(tmp_path: Path) -> None:
    older = open_bundle(SHIPPED_BUNDLE)
    calibration = older.manifest.calibration.model_copy(update={"fitted_on": "ships of a test"})
    metrics = older.manifest.metrics
    replaced = next(metric for metric in metrics if metric.name.endswith("(0 to 1)"))
    kept = [
        metric
        for metric in metrics
        if (metric.dataset, metric.protocol) != (replaced.dataset, replaced.protocol)
    ]
    renewed = Metric(
        dataset=replaced.dataset, protocol=replaced.protocol, name=replaced.name, value=0.123
    )
    out = tmp_path / "bundle"
    bundle = recalibrate_bundle(older, calibration, [renewed], out, notes=("Fitted by a test.",))
    manifest = bundle.manifest
    assert bundle.bundle_id != older.bundle_id
    assert manifest.calibration.fitted_on == "ships of a test"
    assert manifest.files["encoder.onnx"] == older.manifest.files["encoder.onnx"]
    assert manifest.golden == older.manifest.golden
    assert manifest.created_at > older.manifest.created_at
    assert manifest.metrics == (*kept, renewed)
    card = (out / manifest.model_card).read_text()
    assert "ships of a test" in card
    assert "Fitted by a test." in card
    assert "0.123" in card


def test_an_older_bundle_is_only_replaced_when_told(tmp_path: Path) -> None:
    older = open_bundle(SHIPPED_BUNDLE)
    out = tmp_path / "bundle"
    first = recalibrate_bundle(older, older.manifest.calibration, [], out)
    assert first.manifest.metrics == older.manifest.metrics
    with pytest.raises(BundleError, match="exists already"):
        recalibrate_bundle(older, older.manifest.calibration, [], out)
    again = recalibrate_bundle(first, older.manifest.calibration, [], out, replace_existing=True)
    assert again.path == out


def test_the_command_writes_the_bundle(tmp_path: Path) -> None:
    calibration = open_bundle(SHIPPED_BUNDLE).manifest.calibration
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps({**calibration.model_dump(mode="json"), "fitted_on": "other ships"}))
    out = tmp_path / "bundle"
    options = ["--calibration", str(file), "--out", str(out)]
    result = CliRunner().invoke(app, ["recalibrate", str(SHIPPED_BUNDLE), *options])
    assert result.exit_code == 0, result.output
    assert open_bundle(out).manifest.calibration.fitted_on == "other ships"
    refused = CliRunner().invoke(app, ["recalibrate", str(SHIPPED_BUNDLE), *options])
    assert refused.exit_code == 2
    assert "exists already" in refused.output
