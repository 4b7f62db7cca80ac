"""How a person would crop the ship: upright, with some sea before and behind, sometimes wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.config import SimulatorConfig


@dataclass(frozen=True, slots=True)
class Frame:
    """A crop in ship coordinates, metres: centre, size, and a small rotation left over."""

    centre_x: float
    centre_y: float
    height_m: float
    width_m: float
    rotation_rad: float

    def pixels(self, gsd_m: float) -> tuple[int, int]:
        """Rows and columns of the chip, at least 8 each, which is the least that is decoded."""
        return max(round(self.height_m / gsd_m), 8), max(round(self.width_m / gsd_m), 8)


def draw_frame(
    extent_x: tuple[float, float],
    extent_y: tuple[float, float],
    side: float,
    config: SimulatorConfig,
    rng: np.random.Generator,
) -> Frame:
    """Crop around what is seen of the ship.

    Args:
        extent_x: first and last x (along the hull) at which the ship shows, metres.
        extent_y: likewise across.
        side: usual width of the crop over the width of what is seen.
    """
    length, width = extent_x[1] - extent_x[0], extent_y[1] - extent_y[0]
    margin = 1.0 + config.crop_margin + config.crop_sd * float(rng.standard_normal())
    if rng.random() < config.bad_crop_probability:
        margin += float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.1, 0.2))
    side = min(max(float(rng.normal(side, 0.11)), 0.92), 1.7)
    return Frame(
        centre_x=(extent_x[0] + extent_x[1]) / 2 + float(rng.normal(0, 0.012)) * length,
        centre_y=(extent_y[0] + extent_y[1]) / 2 + float(rng.normal(0, 0.035)) * width,
        height_m=max(length * margin, 6.0),
        width_m=max(width * side, 4.0),
        rotation_rad=float(np.deg2rad(config.rotation_sd_deg)) * float(rng.standard_normal()),
    )


def bow_up(detail_seed: int, config: SimulatorConfig, rng: np.random.Generator) -> bool:
    """Whether the bow points up in this chip; a ship mostly lies one way, the berth decides."""
    usual = detail_seed % 2 == 0
    return usual != bool(rng.random() < config.bow_flip_probability)
