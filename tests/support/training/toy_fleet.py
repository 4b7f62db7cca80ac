"""A toy fleet for encoder runs: ships of one size that differ in the bars across their deck."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from model_training.data.cache import CachedChip, PictureStore, write_shard
from model_training.encoder.train_config import EncoderTrainConfig
from service.contract.chip import Modality

LITE = {
    "kind": "lite",
    "preprocess": {"height": 64, "width": 32, "normalisation": "per_chip"},
    "grid_width": 16,
    "grid_blocks": 0,
    "width": 32,
    "depth": 1,
    "heads": 2,
    "embedding_width": 32,
    "pretrained": False,
}
REFERENCE = {
    "kind": "reference",
    "preprocess": {"height": 64, "width": 32},
    "width": 32,
    "depth": 1,
    "heads": 2,
}
PAIRS = {"kind": "pairs", "pairs": 8, "hard_share": 1.0, "hard_ramp_steps": 2, "layout": 1.0}
IDENTITIES = {"kind": "identities", "identities": 4, "chips": 4}


def toy_store(folder: Path, first: int, ships: int) -> PictureStore:
    """Draw ships of one size that differ in the positions of four bars across the hull."""
    chips, layouts = [], []
    for vessel in range(first, first + ships):
        drawn = np.random.default_rng(vessel)
        layout = np.zeros((1, 16), np.float16)
        layout[0, drawn.choice(16, 4, replace=False)] = 1
        deck = np.repeat(layout[0], 5)[:, None, None] * np.ones((1, 20, 3))
        for modality in [Modality.OPTICAL, Modality.OPTICAL, Modality.SAR, Modality.SAR]:
            sar = modality is Modality.SAR
            noise = drawn.gamma(4, 12, (80, 20, 1)) if sar else drawn.normal(60, 5, (80, 20, 3))
            picture = np.clip(deck * (110 if sar else 70) + noise, 0, 255).astype(np.uint8)
            chips.append(CachedChip(picture, modality, 1.0, vessel))
        layouts.append(layout)
    write_shard(folder, first, chips, np.stack(layouts))
    return PictureStore(folder, [first])


def toy_config(
    out: Path, encoder: dict[str, Any], objective: dict[str, Any], **changes: Any
) -> EncoderTrainConfig:
    run = {"out": out, "steps": 4, "checkpoint_every": 2, "validate_every": 4, "log_every": 1}
    entries = {
        "run": {**run, "device": "cpu", "ema_decay": 0.9, **changes},
        "optimiser": {"lr": 3e-3, "warmup_steps": 2},
        "encoder": encoder,
        "data": {"kind": "hoss", "folder": "unused", "cache": "unused"},
        "objective": objective,
    }
    return EncoderTrainConfig.model_validate(entries)


def logged(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def losses(out: Path) -> list[str]:
    return [row["value"] for row in logged(out) if row["name"] == "loss"]
