"""Draw smooth random fields."""

from __future__ import annotations

import numpy as np
from PIL import Image

from model_training.simulator.draws import Rng
from model_training.simulator.ships.materials import FloatArray


def value_noise(shape: tuple[int, ...], scale: float, rng: Rng) -> FloatArray:
    """Draw noise of about unit variance, float32 of `shape`, with features of `scale` cells."""
    # Two cells at least in each direction, and two more: bicubic interpolation reads four.
    small = (max(int(shape[0] / scale), 2) + 2, max(int(shape[1] / scale), 2) + 2)
    noise = Image.fromarray(rng.standard_normal(small, dtype=np.float32))
    grown = noise.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.array(grown, np.float32)
