"""Models and ships for the commands that measure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from model_training.cli import measuring
from model_training.embedding.chip_table import ChipEmbedder, Embeddings
from service.contract.chip import Chip
from tests.support.training.commands import SENSORS
from tests.support.training.training_data import write_chips


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
