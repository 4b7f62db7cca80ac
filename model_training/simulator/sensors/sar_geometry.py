"""Angles and processing of a SAR acquisition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.draws import Range, Rng, chance, pick, pick_weighted, uniform


@dataclass(frozen=True, slots=True)
class AcquisitionRanges:
    """Looks, and the motion of the ship; chosen by eye."""

    looks: tuple[int, ...] = (1, 2, 3, 4)
    looks_share: tuple[float, ...] = (0.5, 0.3, 0.1, 0.1)  # of products with so many looks
    moving_smear: tuple[float, float] = (1.2, 5.0)  # shape and scale of the gamma distribution
    still_smear: tuple[float, float] = (1.0, 0.25)
    drift_per_height_deviation: float = 0.35
    drift_along_deviation: float = 0.05
    broadside_deviation_deg: float = 7.0  # of looks from abeam
    hull_lobe_rad: Range = (0.03, 0.25)  # the sea's slopes decide; uniform in the logarithm
    hull_gain: tuple[float, float] = (0.3, 0.9)  # mean and deviation of the logarithm


ACQUISITION = AcquisitionRanges()
_LOG_HULL_LOBE: Range = tuple(np.log(ACQUISITION.hull_lobe_rad).tolist())
_LOOKS_CUMULATIVE: list[float] = np.cumsum(ACQUISITION.looks_share).tolist()


@dataclass(frozen=True, slots=True)
class SarGeometry:
    """Angles in radians, azimuth from the bow towards starboard, and processing."""

    incidence: float
    look_azimuth: float
    """Horizontal direction in which the pulse travels."""
    resolution_m: float
    looks: int
    smear: float
    """Quadratic phase error at the band edge over pi: 0 is in focus; the smear is about twice
    this many resolution cells long."""
    drift: tuple[float, float]
    """Azimuth shift by radial motion: metres per metre of height, metres per metre along."""
    hull_lobe_rad: float = 0.08
    """Half width of the flash of hull and sea together, wider than a wall's: waves tilt the sea."""
    hull_gain: float = 1.0
    """Strength of that flash, relative to a wall's."""


def draw_geometry(config: SimulatorConfig, gsd_m: float, rng: Rng) -> SarGeometry:
    """Draw angles and processing of one acquisition at `gsd_m` metres per pixel."""
    ranges = ACQUISITION
    moving = chance(rng, config.moving_probability)
    return SarGeometry(
        incidence=float(np.deg2rad(uniform(rng, config.incidence_deg))),
        look_azimuth=_draw_look(config, rng),
        resolution_m=max(uniform(rng, config.sar_resolution_m), gsd_m),
        looks=pick_weighted(rng, ranges.looks, _LOOKS_CUMULATIVE),
        smear=rng.gamma(*(ranges.moving_smear if moving else ranges.still_smear)),
        drift=_draw_drift(rng) if moving else (0.0, 0.0),
        hull_lobe_rad=float(np.exp(uniform(rng, _LOG_HULL_LOBE))),
        hull_gain=rng.lognormal(*ranges.hull_gain),
    )


def _draw_look(config: SimulatorConfig, rng: Rng) -> float:
    """Draw any direction, or one from abeam: ships at anchor lie to the same wind."""
    if chance(rng, config.broadside_probability):
        side = pick(rng, (np.pi / 2, 3 * np.pi / 2))
        return float(side + rng.normal(0, np.deg2rad(ACQUISITION.broadside_deviation_deg)))
    return uniform(rng, (0.0, 2 * np.pi))


def _draw_drift(rng: Rng) -> tuple[float, float]:
    per_height = rng.normal(0, ACQUISITION.drift_per_height_deviation)
    return per_height, rng.normal(0, ACQUISITION.drift_along_deviation)
