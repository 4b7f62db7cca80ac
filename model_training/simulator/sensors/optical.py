"""The optical chip: sun, shadow, lean of tall structure, sea, haze and the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import Frame, draw_frame
from model_training.simulator.raster import BoolArray, ByteArray
from model_training.simulator.sensors.camera import add_haze, expose, sample_frame
from model_training.simulator.sensors.sea import moor_alongside, paint_sea
from model_training.simulator.sensors.shadow import shadow_mask
from model_training.simulator.ships.materials import FloatArray, Material
from model_training.simulator.ships.structure import Structure
from model_training.simulator.ships.visit import Visit

_MARGIN_M = 17.0


@dataclass(frozen=True, slots=True)
class OpticalGeometry:
    """Angles in radians; azimuths from the bow direction towards starboard."""

    sun_elevation: float
    sun_azimuth: float
    off_nadir: float
    view_azimuth: float
    """Direction in which tall structure leans away from its foot."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A rendered chip with its truth, bow down."""

    pixels: npt.NDArray[np.uint8] | FloatArray
    mask: BoolArray
    frame: Frame


def draw_geometry(config: SimulatorConfig, rng: np.random.Generator) -> OpticalGeometry:
    """Angles of one acquisition."""
    return OpticalGeometry(
        sun_elevation=float(np.deg2rad(rng.uniform(*config.sun_elevation_deg))),
        sun_azimuth=float(rng.uniform(0, 2 * np.pi)),
        off_nadir=float(np.deg2rad(rng.uniform(*config.off_nadir_deg))),
        view_azimuth=float(rng.uniform(0, 2 * np.pi)),
    )


def render(
    structure: Structure,
    visit: Visit,
    geometry: OpticalGeometry,
    gsd_m: float,
    config: SimulatorConfig,
    rng: np.random.Generator,
) -> Sight:
    """Render one optical chip, bow down.

    Returns:
        uint8 ``[H, W, 3]`` RGB at `gsd_m` metres per pixel.
    """
    cell = structure.maps.cell_m
    reach = float(visit.maps.height.max()) * float(np.tan(geometry.off_nadir))
    margin = round(min(4.0 + 0.12 * visit.maps.height.shape[1] * cell + reach, _MARGIN_M) / cell)
    height, material = _on_water(visit, margin)
    source, wall = _lean(height, material != Material.WATER, visit.freeboard_m, geometry, cell)
    seen = source >= 0
    image = paint_sea(height.shape, cell, structure.inside.shape, rng)
    if rng.random() < config.alongside_probability:
        moor_alongside(image, cell, structure.inside.shape, rng)
    shown = np.flatnonzero(seen)
    light, tint = _light(structure, geometry, height, margin, rng)
    cells = source.ravel()[shown]
    light, paint = light.ravel()[cells], material.ravel()[cells]
    dim = np.where(wall.ravel()[shown], np.float32(rng.uniform(0.35, 0.8)), np.float32(1.0))
    for band, plane in enumerate(image.reshape(3, -1)):
        plane[shown] = visit.palette[:, band][paint] * (light + tint[band]) * dim

    frame = draw_frame(*_extent(seen, margin, cell, structure), 1.27, config, rng)
    columns = structure.inside.shape[1]
    chip, mask = sample_frame(image, seen, frame, margin, cell, gsd_m, columns, rng)
    return Sight(expose(add_haze(chip, config, rng), rng), mask, frame)


def _on_water(visit: Visit, margin: int) -> tuple[FloatArray, ByteArray]:
    """Heights above the water and materials, with `margin` cells of sea around the ship."""
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
    structure: Structure,
    geometry: OpticalGeometry,
    height: FloatArray,
    margin: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Sunlight on each cell, as its paint reflects it, ``[rows, columns]``; the sky's, ``[3]``."""
    travel = (-np.cos(geometry.sun_azimuth), -np.sin(geometry.sun_azimuth))
    shade = shadow_mask(height, structure.maps.cell_m, travel, geometry.sun_elevation)
    sun = 1.25 * float(np.sin(geometry.sun_elevation)) ** 0.5
    sky = float(rng.uniform(0.03, 0.16))
    # Edges that face the sun are brighter, those that face away darker.
    slope = np.zeros_like(height)
    slope[1:-1] = (height[2:] - height[:-2]) * np.float32(-travel[0])
    slope[:, 1:-1] += (height[:, 2:] - height[:, :-2]) * np.float32(-travel[1])
    np.clip(slope, -1.5, 1.5, out=slope)
    light = np.where(shade, np.float32(0.0), np.float32(sun) * (1.0 - 0.16 * slope))
    light[margin:-margin, margin:-margin] *= structure.paint
    return light, np.array([sky * 0.85, sky, sky * 1.25], np.float32)


def _lean(
    height: FloatArray,
    on_ship: BoolArray,
    freeboard: float,
    geometry: OpticalGeometry,
    cell: float,
) -> tuple[npt.NDArray[np.intp], BoolArray]:
    """Which cell is seen where, looking off nadir.

    Slices of the ship from the waterline up are laid over each other, each moved by its height
    above the main deck times the tangent of the off-nadir angle; higher slices hide lower ones.

    Returns:
        Index of the visible cell (-1 for water) and whether its wall rather than its top shows.
    """
    rows, columns = height.shape
    source = np.full(rows * columns, -1, np.intp)
    wall = np.zeros(rows * columns, bool)
    shift = float(np.tan(geometry.off_nadir)) / cell
    direction = (np.cos(geometry.view_azimuth) * shift, np.sin(geometry.view_azimuth) * shift)
    cells = np.flatnonzero(on_ship)
    tops = height.ravel()[cells] - np.float32(freeboard)
    step = max(1.0 / max(shift, 1e-3), 0.6)
    level = -freeboard
    top = float(tops.max())
    limit = rows * columns
    while True:
        move = round(level * direction[0]) * columns + round(level * direction[1])
        target = cells + move
        if target[0] < 0 or target[-1] >= limit:
            ok = (target >= 0) & (target < limit)
            target, cells, tops = target[ok], cells[ok], tops[ok]
        source[target] = cells
        wall[target] = tops > level + step * 0.5
        if level >= top:
            break
        level = min(level + step, top) if level >= 0 else min(level + step, 0.0)
        keep = tops >= level - step * 0.5
        if not keep.all():
            cells, tops = cells[keep], tops[keep]
        if cells.size == 0:
            break
    return source.reshape(rows, columns), wall.reshape(rows, columns)


def _extent(
    seen: BoolArray, margin: int, cell: float, structure: Structure
) -> tuple[tuple[float, float], tuple[float, float]]:
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    middle = structure.inside.shape[1] / 2 + margin
    return (
        ((rows[0] - margin) * cell, (rows[-1] + 1 - margin) * cell),
        ((columns[0] - middle) * cell, (columns[-1] + 1 - middle) * cell),
    )
