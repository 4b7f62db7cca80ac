"""A contact sheet: rows of ships, each seen optically and by SAR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.report import denoise
from model_training.simulator.ships.vessel import VesselModel, sample_fleet
from model_training.simulator.views import View, render_view

_GAP = 3


def write_sheet(
    path: Path,
    config: SimulatorConfig,
    *,
    ships: int = 12,
    height: int = 250,
    per_row: int = 4,
) -> None:
    """Write two optical and two SAR views of each ship; SAR denoised, to the power 0.7.

    The ships are the first of each block of four of the config's fleet, so that none are sisters.

    Args:
        path: a picture of any format that Pillow writes, by its suffix.
        config: fleet and conditions.
        ships: how many.
        height: of each view, in pixels.
        per_row: ships beside each other.

    Raises:
        ValueError: the suffix names no format.
    """
    vessels = sample_fleet(4 * ships, config.seed, config)[::4]
    rows = [_row(vessels[i : i + per_row], config, height) for i in range(0, len(vessels), per_row)]
    width = max(row.width for row in rows)
    sheet = Image.new("RGB", (width, (height + 2 * _GAP) * len(rows)), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (0, i * (height + 2 * _GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=82)


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
        grey = denoise(view.pixels.astype(np.float64)) ** 0.7
        image = Image.fromarray((grey * 255).astype(np.uint8)).convert("RGB")
    width = max(round(image.width * height / image.height), 6)
    return image.resize((width, height), Image.Resampling.BILINEAR)
