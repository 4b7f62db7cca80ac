"""Small random data sets for tests of training and evaluation: chip files, embedded ships."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from model_training.data.hoss import LabelledChip
from model_training.embedding.chip_table import ChipTable, Embeddings
from service.contract.chip import Modality


def write_chips(folder: Path, *names: str) -> list[Path]:
    """Write noise as chip files of these names, SAR as float32 and RGB as uint8 TIFF."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in names:
        rng = np.random.default_rng(sum(map(ord, name)))
        height, width = int(rng.integers(40, 90)), int(rng.integers(10, 20))
        pixels: Any
        if "_SAR" in name:
            pixels = rng.gamma(1.0, 1.0, (height, width)).astype(np.float32)
        else:
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        paths.append(folder / name)
    return paths


def embedded_ships(
    ships: int, noise: float = 0.5, views: int = 2, distractors: int = 0, seed: int = 0
) -> ChipTable:
    """Draw embedded ships: each chip's vector is its ship's own direction plus noise."""
    rng, width = np.random.default_rng(seed), 24
    names = [*range(1, ships + 1), *[-1] * distractors]
    chips, vectors, sizes = [], [], []
    for number, name in enumerate(names):
        direction = rng.normal(size=width) / np.sqrt(width)
        length = np.exp(rng.normal(5.0, 0.4))
        for modality in Modality:
            for view in range(views if name > 0 else 1):
                path = Path(f"{number}_{view}_{modality}")
                chips.append(LabelledChip(name, modality, path=path))
                vectors.append(direction + noise * rng.normal(size=width) / np.sqrt(width))
                measured = length * np.exp(rng.normal(0, 0.05))
                sizes.append((measured, measured / 6 * np.exp(rng.normal(0, 0.1))))
    rows = np.array(vectors)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return ChipTable(tuple(chips), Embeddings(rows.astype(np.float32)), np.array(sizes))
