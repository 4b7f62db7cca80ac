"""`crossfix-train calibrate`: what it writes, prints and refuses."""

import json
from pathlib import Path

import pytest

from model_training.calibration.context import PROTOCOL
from model_training.cli import measuring
from model_training.data.holdout import held_out_vessels
from model_training.data.hoss import read_hoss
from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import EncoderTrainConfig, HossData
from model_training.training.config import load_config
from service.contract.manifest import Metric, PreprocessSpec
from service.contract.weighing.specs import CalibrationSpec
from tests.support.training.commands import SENSORS, run
from tests.support.training.training_data import write_chips


def test_calibrate_writes_calibration_report_metrics_and_diagram(
    models: Path, fleet: Path, others: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    out, report, diagram = folder / "c.json", folder / "r.json", folder / "d.png"
    result = run(
        *("calibrate", "--bundle", models, "--data", fleet, "--test", others, "--out", out),
        *("--report", report, "--diagram", diagram, "--fitted-on", "noise"),
        *("--metrics", folder / "m.json"),
    )
    assert result.exit_code == 0, result.stderr
    spec = CalibrationSpec.model_validate_json(out.read_text())
    assert spec.fitted_on == "noise"
    assert spec.similarities is not None
    assert {(c.query, c.gallery) for c in spec.similarities.searches} == {
        *(("sar", "optical"), ("optical", "sar"), ("sar", "sar"), ("optical", "optical"))
    }
    assert spec.both_ways is not None
    assert spec.both_ways.calibration.fitted_on == "noise"
    assert spec.both_ways.bow_preference is not None
    assert [one.gsd_m for one in spec.coarse] == [2.0, 3.0, 5.0, 10.0]
    assert len(spec.both_ways.calibration.coarse) == 4
    parts = json.loads(report.read_text())
    assert set(parts) == {"validation", "test", "test both ways", "test by GSD"}
    assert set(parts["test by GSD"]) == {"2", "3", "5", "10"}
    assert parts["validation"]["open_set"] == parts["test"]["open_set"] == []
    metrics = [Metric.model_validate(row) for row in json.loads((folder / "m.json").read_text())]
    protocols = [metric.protocol for metric in metrics]
    assert protocols == [
        *(["calibration"] * 6 + [PROTOCOL] * 4),
        *(["calibration, both ways"] * 2 + ["bow"]),
        *(f"calibration, queries at {gsd_m} m" for gsd_m in (2, 3, 5, 10) for _ in range(2)),
    ]
    for metric in metrics:
        assert 0 <= metric.value <= (100 if metric.protocol == "bow" else 1)
    assert "test, both ways" in result.stdout
    assert "queries at 5 m" in result.stdout
    assert diagram.read_bytes().startswith(b"\x89PNG")
    assert "ECE first candidate" in result.stdout


def test_background_ships_fill_galleries_and_are_never_queries(
    models: Path, fleet: Path, others: Path, tmp_path: Path
) -> None:
    background = tmp_path / "background"
    write_chips(background, *(f"{i:04d}_b_{s}.tif" for i in range(40) for s in SENSORS))
    report, metrics_file = tmp_path / "r.json", tmp_path / "m.json"
    result = run(
        *("calibrate", "--bundle", models, "--data", fleet, "--test", others),
        *("--background", background, "--test-background", background),
        *("--fitted-on", "val", "--tested-on", "test"),
        *("--out", tmp_path / "c.json", "--report", report, "--metrics", metrics_file),
    )
    assert result.exit_code == 0, result.stderr
    documents = json.loads(report.read_text())
    for part in ("validation", "test"):
        numbers = documents[part]
        assert numbers["ships"] == 25
        assert {point["gallery_vessels"] for point in numbers["open_set"]} == {50}
        assert 0 <= numbers["brier_first_candidate"]["value"] <= 1
    assert documents["test both ways"]["ships"] == 25
    metrics = [Metric.model_validate(row) for row in json.loads(metrics_file.read_text())]
    open_set = [metric for metric in metrics if metric.protocol == "open set"]
    assert {(metric.dataset, metric.gallery) for metric in open_set} == {("test", 50)}
    assert len(open_set) == 4


def test_calibrate_uses_the_ships_that_a_run_held_out(
    models: Path, hoss_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, config = hoss_run
    out, report = tmp_path / "c.json", tmp_path / "r.json"
    result = run(
        *("calibrate", "--bundle", models, "--data", root, "--held-out-of", config),
        *("--out", out, "--report", report),
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(report.read_text())["validation"]["ships"] == 24


def write_test_split(root: Path, ships: int) -> None:
    """Write a test split of `ships` ships with ids from 1000 on, and two distractors."""
    ids = range(1000, 1000 + ships)
    write_chips(root / "query", *(f"{i:04d}_q_{s}.tif" for i in ids for s in SENSORS))
    gallery = [f"{i:04d}_g_{s}.tif" for i in ids for s in SENSORS]
    write_chips(root / "bounding_box_test", *gallery, "-1_x_RGB.tif", "-1_y_SAR.tif")


def test_hoss_is_calibrated_on_held_out_ships_and_measured_on_the_test_ids_alone(
    models: Path, hoss_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, config = hoss_run
    write_test_split(root, 21)
    report, metrics = tmp_path / "r.json", tmp_path / "m.json"
    result = run(
        *("calibrate", "--bundle", models, "--data", root, "--held-out-of", config),
        *("--test", root, "--tested-on", "HOSS test", "--fitted-on", "HOSS held out"),
        *("--out", tmp_path / "c.json", "--report", report, "--metrics", metrics),
    )
    assert result.exit_code == 0, result.stderr
    numbers = json.loads(report.read_text())
    assert numbers["validation"]["ships"] == 24
    assert numbers["test"]["ships"] == 21
    rows = [Metric.model_validate(row) for row in json.loads(metrics.read_text())]
    assert {row.dataset for row in rows} == {"HOSS held out", "HOSS test"}
    too_few = "24 of 24 held-out ships calibrate; the same ships choose the checkpoint and select"
    assert too_few in result.stderr
    assert "hold out at least 60" in result.stderr


def test_calibration_has_ships_of_its_own_where_enough_are_held_out(
    models: Path, hoss_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, config = hoss_run
    more = (f"{i:04d}_a_{s}.tif" for i in range(40, 80) for s in SENSORS)
    write_chips(root / "bounding_box_train", *more)
    report = tmp_path / "r.json"
    result = run(
        *("calibrate", "--bundle", models, "--data", root, "--held-out-of", config),
        *("--out", tmp_path / "c.json", "--report", report),
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(report.read_text())["validation"]["ships"] == 24
    assert "24 of 48 held-out ships calibrate; they serve nothing else" in result.stderr


def test_test_chips_that_calibrate_are_refused_before_any_chip_is_embedded(
    fleet: Path, hoss_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "open_model", None)
    root, _ = hoss_run
    write_test_split(root, 21)
    for folder in (fleet, root):  # without --held-out-of, both are the chips of the test split
        result = run(
            *("calibrate", "--bundle", tmp_path, "--data", folder, "--test", folder),
            *("--out", tmp_path / "c.json"),
        )
        assert result.exit_code == 2
        assert "chips of --test are among those that calibrate" in result.stderr
        assert not (tmp_path / "c.json").exists()


def test_held_out_ships_are_those_that_training_validates_on(hoss_run: tuple[Path, Path]) -> None:
    root, config = hoss_run
    data = load_config(config, EncoderTrainConfig).data
    assert isinstance(data, HossData)
    stores = open_stores(data, PreprocessSpec(height=16, width=8))
    chips = [(chip.vessel_id, chip.modality) for chip in read_hoss(root).train]
    held_out = held_out_vessels(chips, data.validation_share, data.split_seed)
    assert held_out == set(stores.validation.vessels)
    assert not held_out & set(stores.train.vessels)


def test_calibrate_refuses_the_config_of_other_data(
    models: Path, hoss_run: tuple[Path, Path], fleet: Path, tmp_path: Path
) -> None:
    result = run(
        *("calibrate", "--bundle", models, "--data", fleet, "--held-out-of", hoss_run[1]),
        *("--out", tmp_path / "c.json"),
    )
    assert result.exit_code == 2
    assert "not the config of an encoder run on" in result.stderr


def test_calibrate_with_too_few_ships_is_refused(models: Path, tmp_path: Path) -> None:
    write_chips(tmp_path / "few", "0001_a_RGB.tif", "0001_b_SAR.tif")
    result = run(
        *("calibrate", "--bundle", models, "--data", tmp_path / "few"),
        *("--out", tmp_path / "c.json"),
    )
    assert result.exit_code == 2
    assert "at least 20 ships" in result.stderr
    assert not (tmp_path / "c.json").exists()
