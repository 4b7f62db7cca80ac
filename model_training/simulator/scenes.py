"""Render scenes as a detector crops them: a ship at any heading, with neighbours and a quay.

A chip is turned and set into sea that has the statistics of its own border. That serves rendered
ships, whose truth is known, and genuine chips, which have no sea of their own around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.noise import value_noise
from model_training.simulator.ships.vessel import VesselModel
from model_training.simulator.views import SensorName, render_view

Pixels = npt.NDArray[Any]

_LEAST_SIDE_PX = 300  # of the sea around a chip
_SEA_AROUND = 0.06
"""Sea along the hull in a rendered view, both ends together, over the ship's length: little, as
beyond the canvas of the SAR sensor the ship's other end would come in."""
_FEATHER_PX = 3.0
"""Width of the seam over which a chip fades into the sea around it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A loose crop with the truth of the ship that it is about."""

    pixels: Pixels
    """Optical: uint8 ``[H, W, 3]``. SAR: float32 ``[H, W]``, amplitude."""
    modality: SensorName
    gsd_m: float
    centre: tuple[float, float]
    """Row and column of the ship's middle, pixels."""
    axis_deg: float
    """Heading axis, clockwise from the top of the picture, 0 to below 180."""
    tight_length_m: float
    """Height of a tight, upright crop of this ship with the usual margin, metres."""
    beam_m: float
    """Greatest width of the hull, metres."""


def render_scene(
    vessel: VesselModel,
    modality: SensorName,
    view_seed: int,
    config: SimulatorConfig,
    rng: np.random.Generator,
    *,
    neighbours: Sequence[VesselModel],
    quay: bool,
) -> Scene:
    """Render a ship at a random heading in the sea of its own acquisition.

    Args:
        vessel: the ship in the middle.
        view_seed: acquisition number, as in `render_view`.
        config: conditions; its crop settings are replaced by exact ones.
        neighbours: further ships, each placed clear of the first.
    """
    crop = {"crop_margin": _SEA_AROUND, "crop_sd": 0.0, "bad_crop_probability": 0.0}
    exact = config.model_copy(update={**crop, "rotation_sd_deg": 0.0})
    view = render_view(vessel, modality, view_seed, exact)
    shown_m = view.geometry["crop_height_m"] / (1.0 + _SEA_AROUND)
    side = max(round(view.pixels.shape[0] * float(rng.uniform(1.2, 2.0))), 48)
    axis = float(rng.uniform(0.0, 180.0))
    offset = rng.uniform(-0.08, 0.08, 2) * side
    centre = (side / 2 + float(offset[0]), side / 2 + float(offset[1]))
    pixels = synthesise_sea(view.pixels, (side, side), rng)
    if quay:
        _build_quay(pixels, view.pixels, axis, centre, rng)
    for neighbour in neighbours:
        other = render_view(neighbour, modality, view_seed, exact).pixels
        clear = (view.pixels.shape[0] + max(other.shape[:2])) * 0.55
        towards = float(rng.uniform(0.0, 2 * np.pi))
        place = (centre[0] + clear * np.sin(towards), centre[1] + clear * np.cos(towards))
        _paste(pixels, other, float(rng.uniform(0.0, 360.0)), place)
    _paste(pixels, view.pixels, axis, centre)
    return Scene(
        pixels=pixels,
        modality=modality,
        gsd_m=view.gsd_m,
        centre=centre,
        axis_deg=axis,
        tight_length_m=shown_m * (1.0 + config.crop_margin),
        beam_m=view.beam_m,
    )


def set_in_sea(chip: Pixels, axis_deg: float, rng: np.random.Generator) -> Pixels:
    """Turn an upright chip and set it into a square of sea that looks like its own border.

    Args:
        chip: uint8 ``[h, w, 3]`` or float32 ``[h, w]``, the ship upright.
        axis_deg: turn, clockwise; above 90 and below 270 the bow points the other way.

    Returns:
        The scene, of the chip's type.
    """
    side = max(_LEAST_SIDE_PX, int(np.hypot(*chip.shape[:2])) + 8)
    room = (side - np.hypot(*chip.shape[:2])) / 2
    shift = rng.uniform(-1, 1, 2) * min(room, 0.05 * side)
    pixels = synthesise_sea(chip, (side, side), rng)
    _paste(pixels, chip, axis_deg, (side / 2 + float(shift[0]), side / 2 + float(shift[1])))
    return pixels


def synthesise_sea(chip: Pixels, shape: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Make sea with the distribution of the chip's border and a short correlation.

    The sea is taken from the four corners. Radar: their quantiles, the brightest third left out
    (side lobes), through a Gaussian field blurred by 0.6 pixels. Optical: their median colour
    with noise as strong as their pixel-to-pixel differences.
    """
    planes = chip[..., None] if chip.ndim == 2 else chip
    high, wide = max(round(0.08 * chip.shape[0]), 3), max(round(0.25 * chip.shape[1]), 3)
    corners = np.concatenate(
        [
            planes[rows, columns].reshape(-1, planes.shape[2])
            for rows in (slice(high), slice(-high, None))
            for columns in (slice(wide), slice(-wide, None))
        ]
    ).astype(np.float64)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 0.6, mode="wrap")
    if chip.ndim == 3:
        jump = np.diff(planes[:high].astype(np.float64), axis=1)
        noise = 1.4826 * float(np.median(np.abs(jump))) / np.sqrt(2.0)
        grain = noise * field / float(field.std())
        return _as_type(np.median(corners, axis=0) + grain[..., None], chip.dtype)
    rank = np.argsort(np.argsort(field, axis=None)).reshape(shape) / (field.size - 1)
    corners = corners[corners <= np.quantile(corners, 0.67)]
    levels = np.linspace(0.0, 1.0, 65)
    return _as_type(np.interp(rank, levels, np.quantile(corners, levels)), chip.dtype)


def _paste(scene: Pixels, chip: Pixels, axis_deg: float, centre: tuple[float, float]) -> None:
    """Turn `chip` clockwise, bilinear, and fade it into `scene` around `centre`; in place."""
    turn = np.deg2rad(axis_deg)
    cos, sin = np.cos(turn), np.sin(turn)
    # Scene (row, column) -> chip (row, column).
    matrix = np.array([[cos, -sin], [sin, cos]])
    middle = (np.array(chip.shape[:2]) - 1) / 2
    offset = middle - matrix @ (np.array(centre) - 0.5)
    rows, columns = (np.arange(size, dtype=np.float64) for size in chip.shape[:2])
    inner = np.minimum(
        np.minimum(rows, rows[::-1])[:, None], np.minimum(columns, columns[::-1])[None, :]
    )
    weight = np.minimum((inner + 1.0) / (_FEATHER_PX + 1.0), 1.0)
    shape = scene.shape[:2]
    alpha = ndimage.affine_transform(weight, matrix, offset, shape, order=1)
    planes = chip[..., None] if chip.ndim == 2 else chip
    target = scene[..., None] if scene.ndim == 2 else scene
    for band in range(planes.shape[2]):
        turned = ndimage.affine_transform(
            planes[..., band].astype(np.float64), matrix, offset, shape, order=1, mode="nearest"
        )
        mixed = alpha * turned + (1.0 - alpha) * target[..., band]
        target[..., band] = _as_type(mixed, scene.dtype)


def _build_quay(
    scene: Pixels,
    chip: Pixels,
    axis_deg: float,
    centre: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Fill the scene beyond a line with quay, a chip's width or more off the ship; in place."""
    side = scene.shape[0]
    along = np.deg2rad(axis_deg + float(rng.normal(0.0, 25.0)))
    row, column = np.mgrid[:side, :side].astype(np.float64)
    across = (row - centre[0]) * np.sin(along) + (column - centre[1]) * np.cos(along)
    lean = abs(float(np.sin(along - np.deg2rad(axis_deg))))
    clear = 0.6 * chip.shape[1] + 0.4 * chip.shape[0] * lean + float(rng.uniform(4.0, 30.0))
    land = across > clear
    texture = np.exp(0.25 * value_noise((side, side), 12.0, rng)).astype(np.float64)
    if scene.ndim == 2:
        texture *= rng.rayleigh(1.0, (side, side))
        level = float(np.quantile(chip, 0.6))
        scene[land] = (level * texture)[land].astype(scene.dtype)
    else:
        colour = rng.uniform(70, 190) * rng.uniform(0.85, 1.1, 3)
        quay = colour * texture[..., None]
        scene[land] = _as_type(quay, scene.dtype)[land]


def _as_type(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    """Round and limit to 0..255 where the type is uint8; keep floats as they are."""
    if dtype == np.uint8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return values.astype(dtype)
