"""`crossfix-train` as a person types it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.config import load_config
from service.contract.manifest import Metric, PreprocessSpec
from service.contract.weighing.specs import BothWaysSpec
from tests.support.paths import TRAINING_CONFIGS
from tests.support.training.commands import run
from tests.support.use_cases import CALIBRATION


def test_help_lists_the_commands() -> None:
    result = run("--help")
    training = ("encoder", "translator", "distil", "cost")
    measuring = (
        "calibrate",
        "evaluate",
        "look-alikes",
        "ablation",
        "adaptation",
        "fusion-study",
        "translator-report",
        "framing-report",
    )
    for command in (*training, *measuring, "simulate", "simulator-report"):
        assert f" {command} " in result.stdout


def test_cost_prints_a_row_per_run_and_explains_what_is_no_run(tmp_path: Path) -> None:
    result = run("cost", TRAINING_CONFIGS / "translator-simulation.yaml", "--tflops", 50)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[2].startswith("| translator-simulation | 96,000 |")
    (tmp_path / "run.yaml").write_text("seed: 3\n")
    result = run("cost", tmp_path / "run.yaml")
    assert result.exit_code == 2
    assert "run.yaml" in result.stderr


def test_evaluate_prints_json_and_nothing_else(models: Path, fleet: Path) -> None:
    result = run("evaluate", "--checkpoint", models, "--data", fleet, "--draws", 100, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["S2O"]["queries"] == 50
    assert set(report["S2O"]["intervals"]) == {"mAP", "R1", "R5", "R10"}


def test_evaluate_prints_the_size_only_floor_beside_each_result(models: Path, fleet: Path) -> None:
    result = run("evaluate", "--bundle", models, "--data", fleet, "--draws", 100)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("size only") == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "either --bundle FOLDER or --checkpoint FILE"),
        (["--bundle", "nowhere"], "nowhere does not exist"),
        (["--bundle", "a", "--checkpoint", "b"], "either --bundle"),
    ],
)
def test_evaluate_without_a_model_is_refused(
    fleet: Path, arguments: list[str], reason: str
) -> None:
    result = run("evaluate", "--data", fleet, *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stdout == ""


def test_look_alikes_measures_each_folder_and_writes_metrics(
    models: Path, fleet: Path, tmp_path: Path
) -> None:
    common = ("look-alikes", "--bundle", models, "--data", fleet, "--galleries", 5, "--draws", 100)
    out = tmp_path / "metrics.json"
    result = run(*common, "--json", "--out", out, "--name", "toy")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert set(report["toy"]) == {"O2O", "S2O", "O2S"}
    assert report["toy"]["S2O"]["gallery"] >= 5
    written = [Metric.model_validate(entry) for entry in json.loads(out.read_text())]
    assert len(written) == 9
    assert run(*common).stdout.count("O2O") == 1


def test_look_alikes_of_a_type_that_is_not_there_are_explained(models: Path, fleet: Path) -> None:
    result = run("look-alikes", "--bundle", models, "--data", fleet, "--type", "tug")
    assert result.exit_code == 2
    assert "no 5 ships of one type" in result.stderr


def test_evaluate_on_unusable_data_is_refused(models: Path, tmp_path: Path) -> None:
    result = run("evaluate", "--bundle", models, "--data", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "not a folder" in result.stderr
    (tmp_path / "note.tif").write_bytes(b"x")
    (tmp_path / "0001_a_RGB.tif").write_bytes(b"x")
    result = run("evaluate", "--bundle", models, "--data", tmp_path)
    assert result.exit_code == 2
    assert "note.tif" in result.stderr


def test_evaluate_measures_turned_and_coarse_chips(
    models: Path, fleet: Path, tmp_path: Path
) -> None:
    arguments = ("evaluate", "--bundle", models, "--data", fleet, "--draws", 100, "--ships", 4)
    out, calibration = tmp_path / "m.json", tmp_path / "c.json"
    both = BothWaysSpec(calibration=CALIBRATION, certainty_slope=1.0, bow_preference=0.1)
    served = CALIBRATION.model_copy(update={"both_ways": both})
    calibration.write_text(served.model_dump_json())
    named = ("--name", "noise", "--out", out, "--calibration", calibration)
    result = run(*arguments, "--framing", "tight", *named)
    assert result.exit_code == 0, result.stderr
    assert "both ways" in result.stdout
    metrics = [Metric.model_validate(row) for row in json.loads(out.read_text())]
    assert len(metrics) == 5 * 2 * 3
    assert {metric.dataset for metric in metrics} == {"noise"}
    result = run(*arguments, "--gsd", "--scenes", 0, "--json")
    assert result.exit_code == 0, result.stderr
    (by_gsd,) = json.loads(result.stdout).values()
    assert set(by_gsd) == {"1", "2", "3", "5", "10"}
    assert by_gsd["10"]["hull_pixels"]["sar"] < by_gsd["1"]["hull_pixels"]["sar"]
    result = run(*arguments, "--gsd", "--framing", "wild")
    assert result.exit_code == 2
    assert "either --gsd or --framing" in result.stderr


def test_ablation_without_a_study_is_refused(tmp_path: Path) -> None:
    result = run("ablation", tmp_path / "study.yaml")
    assert result.exit_code == 2
    assert "study.yaml" in result.stderr


@pytest.mark.parametrize("command", ["encoder", "translator", "distil"])
def test_training_without_a_config_is_refused(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "run.yaml")
    assert result.exit_code == 2
    assert "run.yaml" in result.stderr


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"initial": "gone/checkpoint.pt"}, "gone/checkpoint.pt"),
        ({"data": {"validation_share": 0.3}}, "validation_share differ from its source.json"),
        ({"run": {"device": "cuda"}, "objective": {"pairs": 8}}, "torch finds no CUDA device"),
    ],
    ids=["no-start", "other-split", "no-device"],
)
def test_training_without_its_start_split_or_device_is_refused(
    change: dict[str, Any],
    reason: str,
    hoss_run: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    _, config = hoss_run
    entries = yaml.safe_load(config.read_text())
    open_stores(load_config(config, EncoderTrainConfig).data, PreprocessSpec())
    for name, value in change.items():
        entries[name] = {**entries[name], **value} if isinstance(value, dict) else value
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(entries))
    result = run("encoder", path)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_simulate_writes_masks_and_geometry_with_truth(tmp_path: Path) -> None:
    settings = tmp_path / "fleet.yaml"
    settings.write_text("{optical_views: 1, sar_views: 1}")
    out = tmp_path / "set"
    options = ("--vessels", 4, "--workers", 1, "--truth")
    result = run("simulate", "--config", settings, "--out", out, *options)
    assert result.exit_code == 0, result.stderr
    chips = json.loads(result.stdout)["chips"]
    assert len(list((out / "truth" / "masks").rglob("*.png"))) == chips
    assert len((out / "truth" / "geometry.jsonl").read_text().splitlines()) == chips
    result = run("simulate", "--demo-fleet", "--truth", "--out", tmp_path / "demo")
    assert result.exit_code == 2
    assert "the demo fleet has none" in result.stderr


def test_simulator_report_draws_a_sheet_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_training.simulator.report", lambda *_: "the table")
    result = run("simulator-report", "--sheet", tmp_path / "sheet.jpg")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "the table\n"
    assert (tmp_path / "sheet.jpg").read_bytes().startswith(b"\xff\xd8")
    result = run("simulator-report", "--sheet", tmp_path / "sheet.unknown")
    assert result.exit_code == 2
    assert "sheet.unknown" not in {path.name for path in tmp_path.iterdir()}
