"""`crossfix-train` as a person types it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from model_training.calibration.context import PROTOCOL
from model_training.cli import measuring
from model_training.cli.main import app
from model_training.data.holdout import held_out_vessels
from model_training.data.hoss import read_hoss
from model_training.embedding.chip_table import ChipEmbedder, Embeddings
from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import EncoderTrainConfig, HossData
from model_training.training.config import load_config
from service.contract.chip import Chip
from service.contract.manifest import Metric, PreprocessSpec
from service.contract.weighing.specs import BothWaysSpec, CalibrationSpec
from tests.support.paths import TRAINING_CONFIGS
from tests.support.training.training_data import write_chips
from tests.support.use_cases import CALIBRATION

SENSORS = ("RGB", "SAR")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let every path be a model that embeds a chip by its length."""

    def open_model(*_paths: Path, threads: int = 0) -> ChipEmbedder:
        def embed(chips: Sequence[Chip]) -> Embeddings:
            rows = np.array([[chip.length_m / 100, 0.3] for chip in chips])
            return Embeddings(
                (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
            )

        return embed

    monkeypatch.setattr(measuring, "open_model", open_model)
    return tmp_path / "model"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Write 25 ships with two chips of each sensor."""
    names = [f"{i:04d}_v{v}_{s}.tif" for i in range(25) for v in (0, 1) for s in ("RGB", "SAR")]
    write_chips(tmp_path / "fleet", *names)
    return tmp_path / "fleet"


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Write 25 ships that are not of the fleet, with two chips of each sensor."""
    names = [f"{i:04d}_v{v}_{s}.tif" for i in range(50, 75) for v in (0, 1) for s in SENSORS]
    write_chips(tmp_path / "others", *names)
    return tmp_path / "others"


def test_help_lists_the_commands() -> None:
    result = run("--help")
    training = ("encoder", "translator", "distil", "cost")
    measuring = (
        "calibrate",
        "evaluate",
        "look-alikes",
        "ablation",
        "fusion-study",
        "translator-report",
        "framing-report",
    )
    for command in (*training, *measuring, "simulate", "simulator-report"):
        assert f" {command} " in result.stdout


def test_cost_prints_a_row_per_run_and_explains_what_is_no_run(tmp_path: Path) -> None:
    result = run("cost", TRAINING_CONFIGS / "translator-simulation.yaml", "--tflops", 50)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[2].startswith("| translator-simulation | 24,000 |")
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
    assert set(json.loads(report.read_text())) == {"validation", "test", "test both ways"}
    metrics = [Metric.model_validate(row) for row in json.loads((folder / "m.json").read_text())]
    protocols = [metric.protocol for metric in metrics]
    assert protocols == [
        *(["calibration"] * 6 + [PROTOCOL] * 4),
        *(["calibration, both ways"] * 2),
        *(["calibration, tight chips, their half turns counted"] * 2 + ["bow"]),
    ]
    assert all(0 <= metric.value <= 1 for metric in metrics[:-1])
    assert 0 <= metrics[-1].value <= 100
    assert "test, both ways" in result.stdout
    assert diagram.read_bytes().startswith(b"\x89PNG")
    assert "ECE first candidate" in result.stdout


def test_background_ships_fill_galleries_and_are_never_queries(
    models: Path, fleet: Path, others: Path, tmp_path: Path
) -> None:
    background = tmp_path / "background"
    write_chips(background, *(f"{i:04d}_b_{s}.tif" for i in range(40) for s in SENSORS))
    arguments = ("calibrate", "--bundle", models, "--data", fleet, "--test", others)
    backgrounds = ("--background", background, "--test-background", background)
    sizes: dict[tuple[str, str], set[int]] = {}
    ships: dict[tuple[str, str], int] = {}
    options: tuple[tuple[str, tuple[object, ...]], ...] = (("without", ()), ("with", backgrounds))
    for name, extra in options:
        report = tmp_path / f"{name}.json"
        files = ("--out", tmp_path / "c.json", "--report", report, "--metrics", tmp_path / "m.json")
        result = run(*arguments, *extra, *files, "--fitted-on", "val", "--tested-on", "test")
        assert result.exit_code == 0, result.stderr
        for part, numbers in json.loads(report.read_text()).items():
            sizes[name, part] = {point["gallery_vessels"] for point in numbers["open_set"]}
            ships[name, part] = numbers["ships"]
            assert 0 <= numbers["brier_first_candidate"]["value"] <= 1
    assert sizes["without", "test"] == sizes["without", "validation"] == set()
    assert sizes["with", "test"] == sizes["with", "validation"] == {50}
    assert len(set(ships.values())) == 1
    metrics = [Metric.model_validate(row) for row in json.loads((tmp_path / "m.json").read_text())]
    open_set = [metric for metric in metrics if metric.protocol == "open set"]
    assert {(metric.dataset, metric.gallery) for metric in open_set} == {("test", 50)}
    assert len(open_set) == 4


@pytest.fixture
def hoss_run(tmp_path: Path) -> tuple[Path, Path]:
    """Write 40 training ships, and the config of a run that holds 24 of them out."""
    root = tmp_path / "hoss"
    write_chips(
        root / "bounding_box_train", *(f"{i:04d}_a_{s}.tif" for i in range(40) for s in SENSORS)
    )
    config = {
        "run": {"out": str(tmp_path / "run"), "steps": 1},
        "encoder": {"kind": "compact"},
        "data": {
            "kind": "hoss",
            "folder": str(root),
            "cache": str(tmp_path / "cache"),
            "validation_share": 0.6,
            "split_seed": 5,
        },
        "objective": {"kind": "pairs"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    return root, tmp_path / "run.yaml"


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


def test_test_chips_that_calibrate_are_refused(
    models: Path, fleet: Path, hoss_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, _ = hoss_run
    write_test_split(root, 21)
    for folder in (fleet, root):  # without --held-out-of, both are the chips of the test split
        result = run(
            *("calibrate", "--bundle", models, "--data", folder, "--test", folder),
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
