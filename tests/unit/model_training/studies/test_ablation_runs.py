"""Ablation runs from one file: missing models are trained, finished ones are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from model_training.cli.main import app
from model_training.encoder.stores import open_stores
from model_training.encoder.train import EncoderTask
from model_training.encoder.train_config import EncoderTrainConfig, IdentityObjective
from model_training.studies import ablation_runs
from model_training.studies.ablation import AblationError
from model_training.studies.ablation_runs import TrainedStudy, prepare_study
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigError, load_config
from model_training.training.run import fit
from model_training.translator.train import TranslatorConfig
from tests.support.paths import TRAINING_CONFIGS
from tests.support.training.training_data import write_chips

SENSORS = ("RGB", "SAR")
RUN = {"steps": 2, "device": "cpu", "threads": 1, "checkpoint_every": 1, "validate_every": 2}
PREPROCESS = {"height": 32, "width": 16, "normalisation": "per_chip"}
COMPACT = {
    "kind": "compact",
    "preprocess": PREPROCESS,
    "stem_widths": [4, 4],
    "grid_width": 8,
    "grid_blocks": 0,
    "width": 32,
    "depth": 0,
    "heads": 2,
    "embedding_width": 16,
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Write a study of two variants of an encoder and a fused one, on noise in HOSS layout."""
    names = [f"{ship:04d}_{view}_{s}.tif" for ship in range(10) for view in "ab" for s in SENSORS]
    write_chips(tmp_path / "hoss" / "bounding_box_train", *names)
    write_chips(tmp_path / "genuine", "0001_a_RGB.tif", "0001_b_SAR.tif", "0002_a_RGB.tif")
    data = {"kind": "hoss", "folder": str(tmp_path / "hoss"), "validation_share": 0.4}
    encoder = {
        "run": {**RUN, "out": "elsewhere"},
        "encoder": COMPACT,
        "data": {**data, "cache": str(tmp_path / "cache")},
        "objective": {"kind": "identities", "identities": 3, "chips": 4},
    }
    translator = {
        "run": {**RUN, "out": str(tmp_path / "out" / "translator")},
        "unet": {"height": 16, "width": 8, "widths": [8, 8], "heads": 1},
        "bridge": {"steps": 2},
        "data": {**data, "cache": str(tmp_path / "cache-translator")},
        "batch": 2,
    }
    content = {
        "out": str(tmp_path / "out"),
        "encoder": str(tmp_path / "encoder.yaml"),
        "translator": str(tmp_path / "translator.yaml"),
        "fusion": {"samples": 2, "alpha": 0.3},
        "seeds": [1, 2],
        "data": [{"name": "noise", "root": str(tmp_path / "hoss" / "bounding_box_train")}],
        "variants": [
            {
                "name": "baseline",
                "changes": {
                    "encoder": {"preprocess": {"denoise_percentile": 0.0}},
                    "data": {"cache": str(tmp_path / "cache-raw")},
                    "objective": {"alignment": 0.0},
                },
            },
            {"name": "+ all"},
            {"name": "+ fusion", "fusion": True},
        ],
    }
    for name, part in (("encoder", encoder), ("translator", translator), ("study", content)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(part))
    return tmp_path / "study.yaml"


def changed(study: Path, **entries: Any) -> Path:
    study.write_text(yaml.safe_dump(yaml.safe_load(study.read_text()) | entries))
    return study


def test_one_command_trains_and_prints_the_table_and_trains_nothing_twice(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["ablation", str(study), "--draws", "100", "--threads", "1", "--json"]
    genuine = ["--genuine", str(study.parent / "genuine")]
    first = CliRunner().invoke(app, [*arguments, *genuine])
    assert first.exit_code == 0, first.stderr
    rows = json.loads(first.stdout)
    assert [(row["data"], row["protocol"], row["variant"]) for row in rows] == [
        (data, protocol, variant)
        for data in ("noise", "genuine, zero-shot")
        for protocol in ("O2S", "S2O")
        for variant in ("baseline", "+ all", "+ fusion", "size only")
    ]
    assert [row["models"] for row in rows] == 4 * [2, 2, 2, 0]
    assert rows[2]["mAP"] != rows[1]["mAP"]  # fused with pseudo-SAR

    out = study.parent / "out"
    runs = sorted(str(path.parent.relative_to(out)) for path in out.rglob("checkpoint.pt"))
    assert runs == ["all/seed-1", "all/seed-2", "baseline/seed-1", "baseline/seed-2", "translator"]
    stored = [Checkpoint.load(out / run / "checkpoint.pt").config for run in runs[:3]]
    assert [config["run"]["seed"] for config in stored] == [1, 2, 1]
    assert [config["objective"]["alignment"] for config in stored] == [2.0, 2.0, 0.0]
    percentiles = [config["encoder"]["preprocess"]["denoise_percentile"] for config in stored]
    assert percentiles == [5.0, 5.0, 0.0]

    def refuse(config: object) -> None:
        raise AssertionError(f"trained again: {config}")

    monkeypatch.setattr(ablation_runs, "train_encoder", refuse)
    monkeypatch.setattr(ablation_runs, "train_translator", refuse)
    again = CliRunner().invoke(app, [*arguments, *genuine])
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout) == rows


def test_a_stopped_run_is_continued_to_the_same_weights(study: Path) -> None:
    loaded = load_config(changed(study, seeds=[4], variants=[{"name": "all"}]), TrainedStudy)
    prepared = prepare_study(loaded, threads=1)
    (path,) = prepared.study.variants[0].models
    whole = Checkpoint.load(path)
    torch.manual_seed(0)
    encoder = yaml.safe_load((study.parent / "encoder.yaml").read_text())
    config = EncoderTrainConfig.model_validate(encoder)
    run = config.run.model_copy(update={"out": path.parent, "seed": 4})
    path.unlink()

    own = config.model_copy(update={"run": run})
    task = EncoderTask(own, open_stores(own.data, own.encoder.preprocess))
    fit(task, own.run, own.optimiser, own, stop_at=1)
    assert Checkpoint.load(path).step == 1
    prepare_study(loaded, threads=1)
    resumed = Checkpoint.load(path)
    assert resumed.step == 2
    assert all(torch.equal(value, resumed.ema[name]) for name, value in whole.ema.items())


def test_test_ships_are_rendered_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation_runs, "_ensure_encoder", lambda _config, out, _seed: out)
    settings = {"vessels": 3, "validation_fraction": 0.0, "test_fraction": 0.9}
    entry = {"name": "simulated", "root": str(study.parent / "fleet"), "simulate": settings}
    loaded = load_config(changed(study, data=[entry], variants=[{"name": "all"}]), TrainedStudy)
    (data,) = prepare_study(loaded).study.data
    chips = {path: path.stat().st_mtime_ns for path in data.root.rglob("*.tif")}
    assert chips
    prepare_study(loaded)
    assert {path: path.stat().st_mtime_ns for path in data.root.rglob("*.tif")} == chips


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"variants": [{"name": "a"}, {"name": "+ A"}]}, "names that differ"),
        ({"translator": None}, "a fused variant needs"),
        ({"more": 1}, "more"),
    ],
)
def test_an_unusable_study_is_refused_with_the_reason(
    study: Path, entries: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_config(changed(study, **entries), TrainedStudy)


def test_unknown_changes_and_missing_data_are_refused(study: Path) -> None:
    wrong = {"name": "baseline", "changes": {"objective": {"alignmnt": 0}}}
    with pytest.raises(AblationError, match=r"variant 'baseline'[\s\S]*alignmnt"):
        prepare_study(load_config(changed(study, variants=[wrong]), TrainedStudy))
    missing = [{"name": "lost", "root": "nowhere"}]
    lost = load_config(changed(study, data=missing, variants=[{"name": "a"}]), TrainedStudy)
    with pytest.raises(AblationError, match="lost: nowhere is not a folder"):
        prepare_study(lost)


def test_the_shipped_study_adds_one_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TRAINING_CONFIGS.parents[1])
    shipped = load_config(TRAINING_CONFIGS / "ablation-simulation.yaml", TrainedStudy)
    configs = [ablation_runs._variant_config(shipped, variant) for variant in shipped.variants]
    assert [v.name for v in shipped.variants] == ["baseline", "+ denoise", "+ CMAL", "+ fusion"]
    assert [c.encoder.preprocess.denoise_percentile for c in configs] == [0.0, 5.0, 5.0, 5.0]
    objectives = [c.objective for c in configs if isinstance(c.objective, IdentityObjective)]
    assert [objective.alignment for objective in objectives] == [0.0, 0.0, 2.0, 2.0]
    unchanged = [
        c.model_dump(exclude={"encoder": {"preprocess": True}, "objective": True, "data": True})
        for c in configs
    ]
    assert all(part == unchanged[0] for part in unchanged)
    folders = [c.data.model_dump()["folder"] for c in configs]
    assert folders[0] != folders[1] == folders[2] == folders[3]
    assert len(shipped.seeds) >= 2
    assert shipped.translator is not None
    translator = load_config(shipped.translator, TranslatorConfig)
    assert translator.data == configs[-1].data
    assert np.isclose(shipped.fusion.alpha, 0.02)
