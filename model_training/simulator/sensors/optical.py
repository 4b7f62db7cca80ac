"""Render the optical chip: sun, shadow, lean of tall structure, sea, haze and the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import Frame, draw_frame
from model_training.simulator.draws import Range, Rng, chance, uniform
from model_training.simulator.raster import BoolArray, ByteArray
from model_training.simulator.sensors.camera import add_haze, expose, sample_frame
from model_training.simulator.sensors.sea import moor_alongside, paint_sea
from model_training.simulator.sensors.shadow import shadow_mask
from model_training.simulator.ships.materials import FloatArray, Material
from model_training.simulator.ships.structure import Structure
from model_training.simulator.ships.visit import Visit


@dataclass(frozen=True, slots=True)
class OpticalRanges:
    """Margins, light and walls; chosen by eye."""

    sea_m: float = 4.0  # around the ship on the grid
    sea_of_b: float = 0.12
    most_sea_m: float = 17.0
    crop_width: float = 1.27  # usual width of the crop over that of what shows
    wall_brightness: Range = (0.35, 0.8)  # of walls, over that of the tops
    sun: float = 1.25  # light of the sun in the zenith
    sun_exponent: float = 0.5  # of the sine of its elevation
    sky: Range = (0.03, 0.16)
    sky_colour: tuple[float, float, float] = (0.85, 1.0, 1.25)  # RGB
    most_slope_m: float = 1.5  # steeper edges are no brighter
    slope_light: float = 0.16  # per metre of height between the two neighbours


OPTICAL = OpticalRanges()
_LEAST_SLICE_M = 0.6  # of the slices that lean; thinner ones only cost time
_LEAST_SHIFT = 1e-3  # cells per metre of height; avoids a division by 0 at nadir


@dataclass(frozen=True, slots=True)
class OpticalGeometry:
    """Angles of an acquisition in radians; azimuths from the bow towards starboard."""

    sun_elevation: float
    sun_azimuth: float
    off_nadir: float
    view_azimuth: float
    """Direction in which tall structure leans away from its foot."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Rendered chip with its truth, bow down."""

    pixels: npt.NDArray[np.uint8] | FloatArray
    """Optical: uint8 ``[H, W, 3]``. SAR: float32 ``[H, W]``."""
    mask: BoolArray
    """Pixels that show the ship, ``[H, W]``."""
    frame: Frame


def draw_geometry(config: SimulatorConfig, rng: Rng) -> OpticalGeometry:
    """Draw the angles of one acquisition."""
    return OpticalGeometry(
        sun_elevation=float(np.deg2rad(uniform(rng, config.sun_elevation_deg))),
        sun_azimuth=uniform(rng, (0.0, 2 * np.pi)),
        off_nadir=float(np.deg2rad(uniform(rng, config.off_nadir_deg))),
        view_azimuth=uniform(rng, (0.0, 2 * np.pi)),
    )


def render(
    structure: Structure,
    visit: Visit,
    geometry: OpticalGeometry,
    gsd_m: float,
    config: SimulatorConfig,
    rng: Rng,
) -> Sight:
    """Render one optical chip, bow down.

    Returns:
        uint8 ``[H, W, 3]`` RGB at `gsd_m` metres per pixel, with mask and frame.
    """
    cell = structure.maps.cell_m
    rows, columns = structure.inside.shape
    reach = float(visit.maps.height.max()) * float(np.tan(geometry.off_nadir))
    sea = OPTICAL.sea_m + OPTICAL.sea_of_b * columns * cell + reach
    margin = round(min(sea, OPTICAL.most_sea_m) / cell)
    height, material = _on_water(visit, margin)
    source, wall = visible_cells(
        height, material != Material.WATER, visit.freeboard_m, geometry, cell
    )
    ship_mask = source >= 0
    image = paint_sea(height.shape, cell, (rows, columns), rng)
    if chance(rng, config.alongside_probability):
        moor_alongside(image, cell, (rows, columns), rng)
    shown = np.flatnonzero(ship_mask)
    light, tint = _light(structure, geometry, height, margin, rng)
    cells = source.ravel()[shown]
    light, paint = light.ravel()[cells], material.ravel()[cells]
    wall_brightness = np.float32(uniform(rng, OPTICAL.wall_brightness))
    dim = np.where(wall.ravel()[shown], wall_brightness, np.float32(1.0))
    # `image` is [3, rows, columns]: arithmetic on one colour plane is faster than on the last axis.
    for band, plane in enumerate(image.reshape(3, -1)):
        plane[shown] = visit.palette[:, band][paint] * (light + tint[band]) * dim

    frame = draw_frame(
        *_extent(ship_mask, margin, cell, structure), OPTICAL.crop_width, config, rng
    )
    chip, mask = sample_frame(image, ship_mask, frame, margin, cell, gsd_m, columns, rng)
    return Sight(expose(add_haze(chip, config, rng), rng), mask, frame)


def _on_water(visit: Visit, margin: int) -> tuple[FloatArray, ByteArray]:
    """Return heights above the water and materials, with `margin` cells of sea on each side."""
    rows, columns = visit.maps.height.shape
    shape = (rows + 2 * margin, columns + 2 * margin)
    ship = (slice(margin, margin + rows), slice(margin, margin + columns))
    height, material = np.zeros(shape, np.float32), np.full(shape, Material.WATER, np.uint8)
    material[ship] = visit.maps.material
    np.add(
        visit.maps.height,
        visit.freeboard_m,
        out=height[ship],
        where=visit.maps.material != Material.WATER,
    )
    return height, material


def _light(
    structure: Structure, geometry: OpticalGeometry, height: FloatArray, margin: int, rng: Rng
) -> tuple[FloatArray, FloatArray]:
    """Return the sunlight that the paint of each cell reflects, and the light of the sky.

    Returns:
        float32 ``[rows, columns]``, and float32 ``[3]``, RGB.
    """
    travel = (-np.cos(geometry.sun_azimuth), -np.sin(geometry.sun_azimuth))
    shade = shadow_mask(height, structure.maps.cell_m, travel, geometry.sun_elevation)
    sun = OPTICAL.sun * float(np.sin(geometry.sun_elevation)) ** OPTICAL.sun_exponent
    sky = uniform(rng, OPTICAL.sky)
    # Edges that face the sun are brighter, those that face away darker.
    slope = np.zeros_like(height)
    slope[1:-1] = (height[2:] - height[:-2]) * np.float32(-travel[0])
    slope[:, 1:-1] += (height[:, 2:] - height[:, :-2]) * np.float32(-travel[1])
    np.clip(slope, -OPTICAL.most_slope_m, OPTICAL.most_slope_m, out=slope)
    lit = np.float32(sun) * (1.0 - OPTICAL.slope_light * slope)
    light = np.where(shade, np.float32(0.0), lit)
    light[margin:-margin, margin:-margin] *= structure.paint
    return light, np.array([sky * band for band in OPTICAL.sky_colour], np.float32)


def visible_cells(
    height: FloatArray, on_ship: BoolArray, freeboard: float, geometry: OpticalGeometry, cell: float
) -> tuple[npt.NDArray[np.intp], BoolArray]:
    """Find the cell that is seen at each place when the camera looks off nadir.

    Slices of the ship from the waterline up are laid over each other, each moved by its height
    above the main deck times the tangent of the off-nadir angle; higher slices hide lower ones.

    Args:
        height: metres above the water, ``[rows, columns]``.
        on_ship: where the ship is, ``[rows, columns]``.
        freeboard: height of the main deck above the water, metres.

    Returns:
        Flat index of the visible cell (-1 for water), and whether its wall rather than its top
        shows, both ``[rows, columns]``.
    """
    rows, columns = height.shape
    source = np.full(rows * columns, -1, np.intp)
    wall = np.zeros(rows * columns, bool)
    shift = float(np.tan(geometry.off_nadir)) / cell
    direction = (np.cos(geometry.view_azimuth) * shift, np.sin(geometry.view_azimuth) * shift)
    cells = np.flatnonzero(on_ship)
    tops = height.ravel()[cells] - np.float32(freeboard)
    step = max(1.0 / max(shift, _LEAST_SHIFT), _LEAST_SLICE_M)  # metres per cell of movement
    level = -freeboard
    top = float(tops.max())
    limit = rows * columns
    while True:
        move = round(level * direction[0]) * columns + round(level * direction[1])
        target = cells + move
        if target[0] < 0 or target[-1] >= limit:
            on_grid = (target >= 0) & (target < limit)
            target, cells, tops = target[on_grid], cells[on_grid], tops[on_grid]
        source[target] = cells
        wall[target] = tops > level + step * 0.5
        if level >= top:
            break
        # One slice is at the deck itself, which does not move.
        level = min(level + step, top) if level >= 0 else min(level + step, 0.0)
        reaches = tops >= level - step * 0.5
        if not reaches.all():
            cells, tops = cells[reaches], tops[reaches]
        if cells.size == 0:
            break
    return source.reshape(rows, columns), wall.reshape(rows, columns)


def _extent(
    ship_mask: BoolArray, margin: int, cell: float, structure: Structure
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the ship shows first and last along x and y, in metres."""
    rows, columns = np.flatnonzero(ship_mask.any(1)), np.flatnonzero(ship_mask.any(0))
    middle = structure.inside.shape[1] / 2 + margin
    return (
        ((rows[0] - margin) * cell, (rows[-1] + 1 - margin) * cell),
        ((columns[0] - middle) * cell, (columns[-1] + 1 - middle) * cell),
    )
