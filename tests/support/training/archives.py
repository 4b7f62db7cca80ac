"""A small archive of ships, and toy ships to replay, for runs that go on from an encoder."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model_training.data.cache import CachedChip, write_shard
from model_training.encoder import build_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from service.contract.chip import Modality

PREPROCESS = {"height": 64, "width": 16, "normalisation": "per_chip"}
ENCODER: dict[str, Any] = {
    "kind": "compact",
    "preprocess": PREPROCESS,
    "stem_widths": [8, 8],
    "grid_width": 16,
    "grid_blocks": 1,
    "width": 32,
    "depth": 1,
    "heads": 2,
    "embedding_width": 32,
}
_SUFFIX = {Modality.OPTICAL: "c1_RGB", Modality.SAR: "c2_SAR"}


def bars(vessel: int, modality: Modality, view: int = 0) -> NDArray[np.uint8]:
    """Draw a chip of a ship: bars across the hull at places of its own, and noise."""
    places = np.random.default_rng(vessel).choice(16, 4, replace=False)
    deck = np.repeat(np.isin(np.arange(16), places), 5)[:, None, None]
    sar = modality is Modality.SAR
    rng = np.random.default_rng([vessel, view, sar])
    noise = rng.gamma(4, 12, (80, 20, 1)) if sar else rng.normal(60, 5, (80, 20, 3))
    picture = deck * (110 if sar else 70) + noise + np.zeros((80, 20, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_archive(folder: Path, ships: int, first: int = 1) -> Path:
    """Write ships with two optical chips and a SAR chip as `bounding_box_train`."""
    train = folder / "bounding_box_train"
    train.mkdir(parents=True, exist_ok=True)
    for vessel in range(first, first + ships):
        for view, modality in enumerate((Modality.OPTICAL, Modality.OPTICAL, Modality.SAR), 1):
            picture = bars(vessel, modality, view)
            pixels: Any = picture
            if modality is Modality.SAR:
                pixels = picture[:, :, 0].astype(np.float32)
            Image.fromarray(pixels).save(train / f"{vessel}_s{view:02d}{_SUFFIX[modality]}.tif")
    return folder


def fill_replay(folder: Path) -> None:
    """Put toy ships where a run expects its simulated ones, so that nothing is rendered."""
    for part, first in (("train", 0), ("validation", 5000)):
        chips = [
            CachedChip(bars(10_000 + first + number, modality), modality, 1.0, number)
            for number in range(100)
            for modality in Modality
        ]
        write_shard(folder / part, 0, chips)


def archive_config(folder: Path, archive: Path, **run: Any) -> EncoderTrainConfig:
    """Return the config of a short run on an archive; its initial weights are random ones."""
    initial = folder / "initial.pt"
    entries: dict[str, Any] = {
        "run": {
            "out": folder / "run",
            "steps": 4,
            "device": "cpu",
            "threads": 1,
            "ema_decay": 0.5,
            "log_every": 1,
            "checkpoint_every": 2,
            "validate_every": 2,
            "select_by": "mAP",
            "patience": 2,
            **run,
        },
        "optimiser": {"lr": 3e-3, "warmup_steps": 2},
        "initial": initial,
        "encoder": ENCODER,
        "data": {
            "kind": "archive",
            "folder": archive,
            "cache": folder / "cache",
            "replay": {
                "folder": folder / "replay",
                "seed": 1,
                "validation_seed": 2,
                "vessels": 100,
                "validation_vessels": 100,
                "optical_views": 1,
                "sar_views": 1,
            },
        },
        "objective": {"kind": "pairs", "pairs": 12, "hard_share": 1.0},
    }
    config = EncoderTrainConfig.model_validate(entries)
    if not initial.exists():
        fill_replay(folder / "replay")
        torch.manual_seed(0)
        weights = build_encoder(config.encoder).state_dict()
        named = {f"encoder.{name}": value for name, value in weights.items()}
        described = config.model_dump(mode="json") | {"initial": None}
        described["data"] = {"kind": "bundle", "bundle_id": "b", "domain": "toy", "dataset": "toy"}
        Checkpoint(described, "d" * 64, None, model=named, ema=named).save(initial)
    return config
