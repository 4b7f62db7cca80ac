"""Crop the ship as a person would: upright, with some sea at both ends, sometimes wrongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.draws import Range, Rng, pick, uniform

_LEAST_PIXELS = 8  # the decoder of the service refuses smaller chips


@dataclass(frozen=True, slots=True)
class CropRanges:
    """How crops differ beyond the settings; chosen by eye, sizes relative to the ship's."""

    bad_length: Range = (0.1, 0.2)  # a bad crop is this much too long or too short
    width: Range = (0.92, 1.7)  # least and most
    centre_x: float = 0.375  # deviation of the centre, of the deviation of the crop's length
    centre_y: float = 0.4375  # the same across, of the deviation of the crop's width
    least_height_m: float = 6.0
    least_width_m: float = 4.0


CROP = CropRanges()


@dataclass(frozen=True, slots=True)
class Frame:
    """Crop in ship coordinates, metres: centre, size, and the small rotation that remains."""

    centre_x: float
    centre_y: float
    height_m: float
    width_m: float
    rotation_rad: float

    def pixels(self, gsd_m: float) -> tuple[int, int]:
        """Return rows and columns of the chip, at least 8 each."""
        rows, columns = round(self.height_m / gsd_m), round(self.width_m / gsd_m)
        return max(rows, _LEAST_PIXELS), max(columns, _LEAST_PIXELS)


def draw_frame(
    extent_x: tuple[float, float],
    extent_y: tuple[float, float],
    usual_width: float,
    config: SimulatorConfig,
    rng: Rng,
) -> Frame:
    """Draw a crop around what is seen of the ship.

    Args:
        extent_x: first and last x (along the hull) at which the ship shows, metres.
        extent_y: first and last y (across it), metres.
        usual_width: usual width of the crop over the width of what is seen.
    """
    length, width = extent_x[1] - extent_x[0], extent_y[1] - extent_y[0]
    margin = 1.0 + config.crop_margin + config.crop_sd * float(rng.standard_normal())
    if rng.random() < config.bad_crop_probability:
        margin += pick(rng, (-1.0, 1.0)) * uniform(rng, CROP.bad_length)
    side = min(max(rng.normal(usual_width, config.crop_width_sd), CROP.width[0]), CROP.width[1])
    centre_sd_x = CROP.centre_x * config.crop_sd
    centre_sd_y = CROP.centre_y * config.crop_width_sd
    return Frame(
        centre_x=(extent_x[0] + extent_x[1]) / 2 + rng.normal(0, centre_sd_x) * length,
        centre_y=(extent_y[0] + extent_y[1]) / 2 + rng.normal(0, centre_sd_y) * width,
        height_m=max(length * margin, CROP.least_height_m),
        width_m=max(width * side, CROP.least_width_m),
        rotation_rad=float(np.deg2rad(config.rotation_sd_deg)) * float(rng.standard_normal()),
    )


def bow_up(detail_seed: int, config: SimulatorConfig, rng: Rng) -> bool:
    """Draw whether the bow points up in this chip; each ship mostly lies one way."""
    usual = detail_seed % 2 == 0
    return usual != bool(rng.random() < config.bow_flip_probability)
