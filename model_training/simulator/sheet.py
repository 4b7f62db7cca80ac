"""Draw a contact sheet: rows of ships, each in optical and SAR views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.report import SAR_DISPLAY_POWER, denoise
from model_training.simulator.ships.vessel import VesselModel, sample_fleet
from model_training.simulator.views import View, render_view

_GAP = 3
"""Pixels between two views; ships are four, and rows two gaps apart."""
_JPEG_QUALITY = 82
_LEAST_WIDTH = 6


def write_sheet(
    path: Path, config: SimulatorConfig, *, ships: int = 12, height: int = 250, per_row: int = 4
) -> None:
    """Write two optical and two SAR views of each ship; SAR denoised, to the power 0.7.

    The ships are the first of each block of the fleet that `config` describes, so that none are
    sisters.

    Args:
        path: a picture in any format that Pillow writes, chosen by the suffix.

    Raises:
        ValueError: the suffix names no format that Pillow writes.
    """
    vessels = sample_fleet(config.sister_block * ships, config.seed, config)[:: config.sister_block]
    rows = [_row(vessels[i : i + per_row], config, height) for i in range(0, len(vessels), per_row)]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, (height + 2 * _GAP) * len(rows)), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (0, i * (height + 2 * _GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=_JPEG_QUALITY)


def _row(vessels: Sequence[VesselModel], config: SimulatorConfig, height: int) -> Image.Image:
    pictures = []
    for vessel in vessels:
        pictures += [
            _picture(render_view(vessel, "optical", 0, config), height),
            _picture(render_view(vessel, "sar", 0, config), height),
            _picture(render_view(vessel, "sar", 1, config), height),
            _picture(render_view(vessel, "optical", 1, config), height),
            Image.new("RGB", (4 * _GAP, height), "white"),
        ]
    row = Image.new("RGB", (sum(p.width + _GAP for p in pictures), height), "white")
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + _GAP
    return row


def _picture(view: View, height: int) -> Image.Image:
    if view.modality == "optical":
        image = Image.fromarray(view.pixels)
    else:
        grey = denoise(view.pixels.astype(np.float64)) ** SAR_DISPLAY_POWER
        image = Image.fromarray((grey * 255).astype(np.uint8)).convert("RGB")
    width = max(round(image.width * height / image.height), _LEAST_WIDTH)
    return image.resize((width, height), Image.Resampling.BILINEAR)
