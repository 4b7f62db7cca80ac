"""`crossfix-train fusion-study` and `translator-report` on the ships of a folder."""

from pathlib import Path
from typing import Any

import pytest

from model_training.encoder import build_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from model_training.translator.train import TranslatorConfig
from model_training.translator.unet import BridgeUNet
from tests.support.training.commands import run

FLEET = {
    "kind": "simulated",
    "folder": "never-rendered",
    "seed": 5,
    "validation_seed": 6,
    "vessels": 300,
    "validation_vessels": 100,
}


def save(path: Path, config: Any, weights: dict[str, Any]) -> Path:
    document = config.model_dump(mode="json")
    Checkpoint(
        config=document, data_digest="d", commit="c", step=1, model=weights, ema=weights
    ).save(path)
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    model = {"kind": "reference", "preprocess": {"height": 32, "width": 16}}
    config = EncoderTrainConfig.model_validate(
        {
            "run": {"out": "unused", "steps": 1},
            "encoder": {**model, "width": 16, "depth": 1, "heads": 2},
            "data": FLEET,
            "objective": {"kind": "pairs"},
        }
    )
    weights = build_encoder(config.encoder).state_dict()
    return save(tmp_path / "e.pt", config, {f"encoder.{k}": v for k, v in weights.items()})


@pytest.fixture
def translator(tmp_path: Path) -> Path:
    config = TranslatorConfig.model_validate(
        {
            "run": {"out": "unused", "steps": 1},
            "unet": {"height": 32, "width": 16, "widths": [8, 16], "heads": 1},
            "bridge": {"steps": 1},
            "data": FLEET,
        }
    )
    return save(tmp_path / "t.pt", config, BridgeUNet(config.unet).state_dict())


def test_fusion_is_studied_on_the_ships_of_a_folder(
    encoder: Path, translator: Path, fleet: Path
) -> None:
    settings = ("--alpha", 0.1, "--samples", 1, "--threads", 1)
    result = run("fusion-study", encoder, translator, "--data", fleet, *settings)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("25 validation ships")
    assert str(fleet) in lines[1]
    assert any(line.startswith("| 0.1 | 1 |") for line in lines)


def test_a_translator_is_shown_on_the_ships_of_a_folder(
    translator: Path, fleet: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    settings = ("--steps", 1, "--samples", 1, "--threads", 1)
    result = run("translator-report", translator, "--out", sheet, "--data", fleet, *settings)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("25 vessels")
    assert sheet.stat().st_size > 0
    missing = tmp_path / "missing"
    result = run("translator-report", translator, "--out", sheet, "--data", missing)
    assert result.exit_code == 2
    assert "missing" in result.stderr
