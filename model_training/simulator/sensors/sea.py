"""Paint the water around the ship on an optical chip, and craft or quays beside the hull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Range, Rng, chance, pick, uniform
from model_training.simulator.noise import value_noise
from model_training.simulator.ships.blueprint import SIDES
from model_training.simulator.ships.materials import FloatArray


@dataclass(frozen=True, slots=True)
class SeaRanges:
    """Colour, waves and glint of the water, and the wake; chosen by eye."""

    colour: tuple[float, float, float] = (0.012, 0.028, 0.055)  # radiance of deep water, RGB
    brightness_deviation: float = 0.45  # of the logarithm
    tint: Range = (0.75, 1.3)  # of each band
    silt_share: float = 0.2  # silt or shallow water
    silt_colour: tuple[float, float, float] = (0.04, 0.07, 0.06)
    silt: Range = (0.2, 1.0)
    roughness_shape: float = 1.5  # of the gamma distribution of the wave contrast
    roughness_scale: float = 0.06
    short_wave_m: float = 1.8
    long_wave_m: float = 9.0
    glint_share: float = 0.15
    glint: Range = (0.2, 1.5)
    glint_of_roughness: float = 6.0
    darkest: float = 0.2  # of the water's mean radiance
    wake_share: float = 0.12
    wake: Range = (0.1, 0.5)
    wake_spread: float = 0.12  # of the arms, per metre behind the bow
    wake_width_of_b: float = 0.06  # of an arm at the bow
    wake_widening: float = 0.05  # per metre behind the bow
    wake_length_of_b: float = 3.0  # in which the arms fade to 1/e
    wash_rows: int = 3  # rows of foam behind the stern, in cells; they reach into the ship's first
    wash_width_of_b: float = 0.4
    foam_mean: float = 0.6
    foam_contrast: float = 0.5
    foam_cells: float = 3.0  # size of the patches of foam


@dataclass(frozen=True, slots=True)
class AlongsideRanges:
    """Tug, barge or quay edge beside the hull; chosen by eye."""

    length_m: Range = (8.0, 30.0)
    width_m: Range = (4.0, 9.0)
    quay_share: float = 0.2
    quay_length_m: float = 500.0
    quay_width_m: float = 20.0
    gap_m: float = 1.0
    brightness: Range = (0.15, 0.6)
    tint: Range = (0.7, 1.1)  # of each band
    house: float = 0.6  # radiance
    house_start_cells: int = 2
    house_edge: int = 4  # the house leaves a fourth of the width free on either side


SEA = SeaRanges()
ALONGSIDE = AlongsideRanges()


def paint_sea(shape: tuple[int, ...], cell: float, ship: tuple[int, int], rng: Rng) -> FloatArray:
    """Paint the water around a ship.

    Args:
        shape: rows and columns of the canvas, in whose middle the ship lies, stern first.
        ship: rows and columns of the ship.

    Returns:
        Radiance, float32 ``[3, rows, columns]``, one plane per colour.
    """
    base = np.array(SEA.colour, np.float32)
    base = base * np.float32(rng.lognormal(0.0, SEA.brightness_deviation))
    base = base * rng.uniform(*SEA.tint, 3).astype(np.float32)
    if chance(rng, SEA.silt_share):
        base = base + np.array(SEA.silt_colour, np.float32) * np.float32(uniform(rng, SEA.silt))
    rough = rng.gamma(SEA.roughness_shape, SEA.roughness_scale)
    waves = value_noise(shape, SEA.short_wave_m / cell, rng)
    waves = waves + value_noise(shape, SEA.long_wave_m / cell, rng)
    level = 1.0 + rough * waves
    if chance(rng, SEA.glint_share):
        glint = np.float32(uniform(rng, SEA.glint)) * np.maximum(waves, 0)
        level = level + glint * np.float32(rough * SEA.glint_of_roughness)
    # [rows, columns] against [3, 1, 1]
    sea: FloatArray = np.maximum(level, SEA.darkest) * base[:, None, None]
    if chance(rng, SEA.wake_share):
        _wake(sea, ship, rng)
    return sea


def _wake(sea: FloatArray, ship: tuple[int, int], rng: Rng) -> None:
    """Add foam astern and along both sides of a moving ship to `sea`."""
    rows, columns = sea.shape[1:]
    length, beam = ship
    r = np.arange(rows, dtype=np.float32)[:, None] - (rows - length) / 2
    c = np.abs(np.arange(columns, dtype=np.float32)[None, :] - columns / 2)
    behind_bow = length - r  # [rows, 1], in cells, as `c` [1, columns] is
    off = c - beam * 0.5 - SEA.wake_spread * behind_bow
    width = SEA.wake_width_of_b * beam + SEA.wake_widening * behind_bow.clip(0)
    arm = np.exp(-((off / width) ** 2))
    fading = np.exp(-behind_bow / (SEA.wake_length_of_b * beam))
    foam = np.where(behind_bow > 0, arm * fading, 0.0)
    wash = np.exp(-((c / (beam * SEA.wash_width_of_b)) ** 2))
    foam = foam + np.where(r < SEA.wash_rows, wash, 0.0)
    patches = SEA.foam_mean + SEA.foam_contrast * value_noise((rows, columns), SEA.foam_cells, rng)
    sea += np.float32(uniform(rng, SEA.wake)) * foam * np.maximum(patches, 0.0)


def moor_alongside(sea: FloatArray, cell: float, ship: tuple[int, int], rng: Rng) -> None:
    """Paint a tug, a barge or a quay edge beside the hull into `sea`.

    Args:
        sea: radiance, float32 ``[3, rows, columns]``, changed in place.
        ship: rows and columns of the ship, which lies in the middle.
    """
    rows, columns = sea.shape[1:]
    margin = (rows - ship[0]) // 2
    side = pick(rng, SIDES)
    edge = columns / 2 + side * ship[1] / 2
    long_m, wide_m = uniform(rng, ALONGSIDE.length_m), uniform(rng, ALONGSIDE.width_m)
    if chance(rng, ALONGSIDE.quay_share):
        long_m, wide_m = ALONGSIDE.quay_length_m, ALONGSIDE.quay_width_m
    middle = int(uniform(rng, (margin, rows - margin)))
    r0, r1 = max(middle - int(long_m / cell / 2), 0), middle + int(long_m / cell / 2)
    c0 = edge + side * ALONGSIDE.gap_m / cell
    c1 = c0 + side * wide_m / cell
    left, right = round(min(c0, c1)), round(max(c0, c1))
    colour = uniform(rng, ALONGSIDE.brightness) * rng.uniform(*ALONGSIDE.tint, 3)
    sea[:, r0:r1, max(left, 0) : max(right, 0)] = colour.astype(np.float32)[:, None, None]
    edge_cells = max((right - left) // ALONGSIDE.house_edge, 1)
    house = (
        slice(r0 + ALONGSIDE.house_start_cells, (r0 + r1) // 2),
        slice(max(left + edge_cells, 0), max(right - edge_cells, 0)),
    )
    sea[:, *house] = np.float32(ALONGSIDE.house)
