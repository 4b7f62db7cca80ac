"""`crossfix-export` as a person types it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner, Result

import export.cli
from export.cli import app
from export.sample_chips import SampleChip
from export.to_onnx import export_graph
from model_training.embedding.models import open_model
from model_training.encoder import build_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.evaluation.comparison import Comparison
from model_training.evaluation.metrics import Estimate
from model_training.training.checkpoint import Checkpoint
from service.contract.bundle import open_bundle
from service.contract.chip import Chip
from service.contract.manifest import GraphSpec
from service.inference.embedder import load_embedder
from service.settings import SHIPPED_BUNDLE

PREPROCESS = {"height": 32, "width": 16}
CONFIG: dict[str, Any] = {
    "run": {"out": "runs/tiny", "steps": 3, "seed": 11},
    "encoder": {"kind": "reference", "preprocess": PREPROCESS, "width": 16, "depth": 1, "heads": 2},
    "data": {
        "kind": "simulated",
        "folder": "fleet",
        "seed": 5,
        "validation_seed": 6,
        "vessels": 400,
        "validation_vessels": 100,
    },
    "objective": {"kind": "pairs"},
}
CALIBRATION = {
    "match": {"weights": {"similarity": 4.0}, "none_bias": 1.0, "none_log_gallery": 0.5},
    "verify": {"bias": -1.0, "weights": {"similarity": 4.0}},
    "confident_from": 0.9,
    "no_match_below": 0.1,
    "fitted_on": "validation ships",
}
METRICS = [{"dataset": "test ships", "protocol": "S2O", "name": "mAP", "value": 12.5}]


def save(path: Path, seed: int = 0, data: dict[str, Any] | None = None, **preprocess: Any) -> Path:
    """Save an untrained encoder as a run would."""
    torch.manual_seed(seed)
    config = EncoderTrainConfig.model_validate(
        CONFIG
        | {
            "data": data or CONFIG["data"],
            "run": {**CONFIG["run"], "out": f"runs/{path.parent.name}", "seed": 11 + seed},
            "encoder": {**CONFIG["encoder"], "preprocess": {**PREPROCESS, **preprocess}},
        }
    )
    module = build_encoder(config.encoder)
    weights = {f"encoder.{name}": value for name, value in module.state_dict().items()}
    Checkpoint(
        config=config.model_dump(mode="json"),
        data_digest="d" * 64,
        commit="c" * 40,
        step=3,
        model=weights,
        ema=weights,
    ).save(path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("run") / "checkpoint.pt")


@pytest.fixture(autouse=True)
def use_noise_chips(chips: list[SampleChip], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace simulated golden chips by noise; the simulator has its own tests."""
    monkeypatch.setattr(export.cli, "simulated_chips", lambda *_: chips)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(autouse=True)
def export_each_graph_once(graphs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export each graph once and copy the file afterwards."""

    def export_or_copy(module: nn.Module, spec: GraphSpec, path: Path) -> None:
        cached = graphs / f"{spec.outputs[0].shape[1]}-{spec.file}"
        if not cached.exists():
            export_graph(module, spec, cached)
        shutil.copy(cached, path)

    monkeypatch.setattr("export.build_bundle.export_graph", export_or_copy)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_checkpoint_becomes_a_bundle_that_verifies(checkpoint: Path, tmp_path: Path) -> None:
    calibration, metrics = tmp_path / "calibration.json", tmp_path / "metrics.json"
    calibration.write_text(json.dumps(CALIBRATION))
    metrics.write_text(json.dumps(METRICS))
    out = tmp_path / "bundle"
    made = run(
        *("bundle", "--encoder", checkpoint, "--calibration", calibration, "--metrics", metrics),
        *("--name", "tiny", "--note", "Made by a test.", "--out", out),
    )
    assert made.exit_code == 0, made.output
    manifest = open_bundle(out).manifest
    assert manifest.training.domain == "simulated"
    assert manifest.training.datasets == ("simulated fleet, seed 5",)
    assert manifest.training.data_digest == "d" * 64
    assert manifest.licences["weights"] == "Apache-2.0, as this repository"
    assert manifest.training.seeds == (11,)
    assert "400 simulated ships" in manifest.training.description
    assert manifest.calibration.confident_from == 0.9
    assert manifest.metrics[0].value == 12.5
    assert "Made by a test." in (out / "MODEL_CARD.md").read_text()
    assert f"wrote bundle {open_bundle(out).bundle_id} to {out}" in made.output.replace("\n", "")

    verified = run("verify", out, "--json")
    assert verified.exit_code == 0, verified.output
    facts = json.loads(verified.stdout)
    assert facts["name"] == "tiny"
    assert facts["calibrated"] is True
    assert facts["embedding_width"] == 16
    assert facts["smallest_golden_cosine"] > 0.9999

    (out / "encoder.onnx").write_bytes(b"")
    broken = run("verify", out)
    assert broken.exit_code == 2
    assert "encoder.onnx has 0 bytes" in broken.stderr


def test_several_checkpoints_become_one_bundle(checkpoint: Path, tmp_path: Path) -> None:
    second = save(tmp_path / "second" / "checkpoint.pt", seed=1)
    out = tmp_path / "bundle"
    both = ("--encoder", checkpoint, "--encoder", second)
    made = run("bundle", *both, "--uncalibrated", "--out", out)
    assert made.exit_code == 0, made.output
    manifest = open_bundle(out).manifest
    assert [path.name for path in out.glob("*.onnx")] == ["encoder.onnx"]
    assert manifest.encoder.embedding_width == 2 * 16
    assert [(item.run, item.seed) for item in manifest.training.encoders] == [
        (checkpoint.parent.name, 11),
        ("second", 12),
    ]
    card = (out / "MODEL_CARD.md").read_text()
    assert "Encoder `second`: simulated fleet, seed 5, 3 steps, seed 12, commit `ccc" in card
    assert "embeddings of 2 encoders side by side" in card
    chips = load_embedder(out, "cpu", threads=1).golden_chips()
    served = embed(out, chips)
    apart = [embed(path, chips) for path in (checkpoint, second)]
    assert served @ served.T == pytest.approx(np.mean([v @ v.T for v in apart], 0), abs=1e-3)
    assert served == pytest.approx(embed([checkpoint, second], chips), abs=1e-3)


def test_auto_says_of_each_rounded_graph_whether_it_is_shipped(
    checkpoint: Path, chips: list[SampleChip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.rounded_graphs.times_faster", lambda *_: 1.0)
    (ships := tmp_path / "ships").mkdir()
    for chip in chips:
        (ships / chip.name).write_bytes(chip.data)
    auto = ("--precision", "auto", "--validation", ships)
    out = tmp_path / "bundle"
    made = run("bundle", "--encoder", checkpoint, "--uncalibrated", *auto, "--out", out)
    assert made.exit_code == 0, made.output
    assert "int8 for cpu is not shipped: it is 1.00 times as fast" in made.stdout
    assert [path.name for path in out.glob("*.onnx")] == ["encoder.onnx"]


def embed(model: Path | list[Path], chips: list[Chip]) -> NDArray[np.float32]:
    paths = model if isinstance(model, list) else [model]
    return open_model(*paths, threads=1)(chips).plain


def test_a_bundle_needs_a_calibration_or_the_option_uncalibrated(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    refused = run("bundle", "--encoder", checkpoint, "--out", out)
    assert refused.exit_code == 2
    assert "a bundle needs --calibration JSON" in refused.stderr
    assert not out.exists()
    made = run("bundle", "--encoder", checkpoint, "--uncalibrated", "--out", out)
    assert made.exit_code == 0, made.output
    assert "equally probable" in made.output
    facts = json.loads(run("verify", out, "--json").stdout)
    assert facts["calibrated"] is False
    again = run("bundle", "--encoder", checkpoint, "--uncalibrated", "--out", out)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_weights_of_data_other_than_simulated_need_a_licence(tmp_path: Path) -> None:
    hoss = {"kind": "hoss", "folder": "data/HOSS", "cache": "cache"}
    encoder = save(tmp_path / "run" / "checkpoint.pt", data=hoss)
    out = tmp_path / "bundle"
    command = ("bundle", "--encoder", encoder, "--uncalibrated", "--out", out)
    for blank in ((), ("--licence", " ")):
        refused = run(*command, *blank)
        assert refused.exit_code == 2
        assert "the weights learnt from hoss" in refused.stderr
        assert "--licence TEXT" in refused.stderr
        assert not out.exists()
    made = run(*command, "--licence", "for research, as HOSS ReID")
    assert made.exit_code == 0, made.output
    licences = open_bundle(out).manifest.licences
    assert licences["weights"] == "for research, as HOSS ReID"
    assert "- weights: for research, as HOSS ReID" in (out / "MODEL_CARD.md").read_text()


def test_unusable_input_is_named_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.json"
    text.write_text('{"match": 3}')
    out = ("--out", tmp_path / "bundle")
    tall = save(tmp_path / "tall.pt", height=48)
    (empty := tmp_path / "empty").mkdir()
    cases = {
        "inputs differ: height 48 and 32": (
            *("bundle", "--encoder", checkpoint, "--encoder", tall, "--uncalibrated"),
        ),
        "there is no checkpoint of an encoder at": (
            *("bundle", "--encoder", tmp_path / "none.pt", "--uncalibrated"),
        ),
        "is not a checkpoint of an encoder": ("bundle", "--encoder", text, "--uncalibrated"),
        "is not a checkpoint of a translator": (
            *("bundle", "--encoder", checkpoint, "--translator", text, "--uncalibrated"),
        ),
        f"{text}: match": ("bundle", "--encoder", checkpoint, "--calibration", text),
        "--precision auto needs --validation DIR": (
            *("bundle", "--encoder", checkpoint, "--uncalibrated", "--precision", "auto"),
        ),
        "holds no data set": (
            *("bundle", "--encoder", checkpoint, "--uncalibrated", "--precision", "auto"),
            *("--validation", empty),
        ),
        "is not a PyTorch checkpoint": ("import-official", "--encoder", text),
    }
    for reason, arguments in cases.items():
        result = run(*arguments, *out)
        assert result.exit_code == 2, (reason, result.output)
        assert reason in result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
    assert not (tmp_path / "bundle").exists()


def test_weights_writes_a_checkpoint_for_each_encoder(tmp_path: Path) -> None:
    made = run("weights", SHIPPED_BUNDLE, "--out", tmp_path)
    assert made.exit_code == 0, made.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "simulation-compact-mined-2.pt",
        "simulation-lite-late-3.pt",
    ]
    assert "simulation-lite-late-3.pt: lite, 2600 steps" in made.stdout.replace("\n", "")
    assert "largest difference to the bundle's graph" in made.stdout


def compared(gain: float, low: float) -> Comparison:
    return Comparison(
        older=Estimate(40.0, 30.0, 50.0),
        newer=Estimate(40.0 + gain, 30.0, 60.0),
        gain=Estimate(gain, low, 12.0),
        by_direction={"S2O": (40.0, 41.0), "O2S": (40.0, 41.0)},
        ships=9,
    )


@pytest.mark.parametrize(("gain", "low", "doubt"), [(4.0, 1.0, False), (4.0, -1.0, True)])
def test_a_bundle_that_is_better_than_the_older_is_written(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gain: float,
    low: float,
    doubt: bool,
) -> None:
    monkeypatch.setattr(export.cli, "compare_on_held_out", lambda *_: compared(gain, low))
    out = tmp_path / "new"
    arguments = ("bundle", "--encoder", checkpoint, "--uncalibrated", "--out", out)
    made = run(*arguments, "--better-than", SHIPPED_BUNDLE)
    assert made.exit_code == 0, made.output
    assert "gain +4.0" in made.stdout
    assert ("includes 0" in made.stdout) is doubt
    assert "mAP on 9 ships" in (out / "MODEL_CARD.md").read_text()


def test_a_bundle_that_is_no_better_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export.cli, "compare_on_held_out", lambda *_: compared(0.0, -2.0))
    out = tmp_path / "new"
    arguments = ("bundle", "--encoder", checkpoint, "--uncalibrated", "--out", out)
    made = run(*arguments, "--better-than", SHIPPED_BUNDLE)
    assert made.exit_code == 3
    assert "the older bundle stays" in made.stdout
    assert not out.exists()


def test_comparing_needs_an_encoder_that_learnt_from_an_archive(
    checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ("bundle", "--encoder", checkpoint, "--uncalibrated", "--out", tmp_path / "new")
    made = run(*arguments, "--better-than", SHIPPED_BUNDLE)
    assert made.exit_code == 2
    assert "none was trained on one" in made.stderr
