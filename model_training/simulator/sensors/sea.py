"""The water an optical chip shows around the ship, and what lies alongside."""

from __future__ import annotations

import numpy as np

from model_training.simulator.noise import value_noise
from model_training.simulator.ships.materials import FloatArray


def paint_sea(
    shape: tuple[int, ...],
    cell: float,
    ship: tuple[int, int],
    rng: np.random.Generator,
) -> FloatArray:
    """Radiance of the water around a ship, float32 ``[3, rows, columns]``, one plane a colour.

    Args:
        shape: rows and columns of the canvas, in whose middle the ship lies, stern first.
        cell: metres per cell.
        ship: rows and columns of the ship.
    """
    base = np.array([0.012, 0.028, 0.055], np.float32) * np.float32(rng.lognormal(0.0, 0.45))
    base = base * rng.uniform(0.75, 1.3, 3).astype(np.float32)
    if rng.random() < 0.2:  # silt or shallow water
        base = base + np.array([0.04, 0.07, 0.06], np.float32) * np.float32(rng.uniform(0.2, 1))
    rough = float(rng.gamma(1.5, 0.06))
    waves = value_noise(shape, 1.8 / cell, rng) + value_noise(shape, 9.0 / cell, rng)
    level = 1.0 + rough * waves
    if rng.random() < 0.15:  # sun glint
        level = level + np.float32(rng.uniform(0.2, 1.5)) * np.maximum(waves, 0) * np.float32(
            rough * 6
        )
    sea: FloatArray = np.maximum(level, 0.2) * base[:, None, None]
    if rng.random() < 0.12:
        _wake(sea, ship, rng)
    return sea


def _wake(sea: FloatArray, ship: tuple[int, int], rng: np.random.Generator) -> None:
    """Foam astern and along both sides of a moving ship."""
    rows, columns = sea.shape[1:]
    length, beam = ship
    r = np.arange(rows, dtype=np.float32)[:, None] - (rows - length) / 2
    c = np.abs(np.arange(columns, dtype=np.float32)[None, :] - columns / 2)
    bow = length - r
    arm = np.exp(-(((c - beam * 0.5 - 0.12 * bow) / (0.06 * beam + 0.05 * bow.clip(0))) ** 2))
    foam = np.where(bow > 0, arm * np.exp(-bow / (3.0 * beam)), 0.0)
    foam = foam + np.where(r < 3, np.exp(-((c / (beam * 0.4)) ** 2)), 0.0)
    rough = 0.6 + 0.5 * value_noise((rows, columns), 3.0, rng)
    sea += np.float32(rng.uniform(0.1, 0.5)) * foam * np.maximum(rough, 0.0)


def moor_alongside(
    sea: FloatArray, cell: float, ship: tuple[int, int], rng: np.random.Generator
) -> None:
    """A tug, barge or quay edge beside the hull."""
    rows, columns = sea.shape[1:]
    margin = (rows - ship[0]) // 2
    side = float(rng.choice([-1.0, 1.0]))
    edge = columns / 2 + side * ship[1] / 2
    long_m, wide_m = (float(rng.uniform(8, 30)), float(rng.uniform(4, 9)))
    if rng.random() < 0.2:
        long_m, wide_m = 500.0, 20.0
    at = int(rng.uniform(margin, rows - margin))
    r0, r1 = max(at - int(long_m / cell / 2), 0), at + int(long_m / cell / 2)
    c0 = edge + side * 1.0 / cell
    c1 = c0 + side * wide_m / cell
    lo, hi = (round(min(c0, c1)), round(max(c0, c1)))
    colour = rng.uniform(0.15, 0.6) * rng.uniform(0.7, 1.1, 3)
    sea[:, r0:r1, max(lo, 0) : max(hi, 0)] = colour.astype(np.float32)[:, None, None]
    third = max((hi - lo) // 4, 1)
    sea[:, r0 + 2 : (r0 + r1) // 2, max(lo + third, 0) : max(hi - third, 0)] = np.float32(0.6)
