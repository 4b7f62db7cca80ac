"""Render the SAR chip: facets, walls and corners through layover, shadow and impulse response.

Amplitudes are in units of the product's own scale (`sar_imaging.compress`): deck machinery near
3, calm sea near 0.01, saturation near 9.5, so that values come out like those of HOSS: the
logarithm of one plus amplitude, float32, 0 to about 2.4. Genuine chips show Rayleigh speckle on
the sea (deviation over mean 0.52) and less on bright decks, as this scale predicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import draw_frame
from model_training.simulator.draws import Rng
from model_training.simulator.sensors.canvas import Canvas
from model_training.simulator.sensors.optical import Sight
from model_training.simulator.sensors.sar_geometry import SarGeometry
from model_training.simulator.sensors.sar_imaging import compress, form_image, resample
from model_training.simulator.sensors.shadow import shadow_mask, shifted
from model_training.simulator.ships.materials import ROUGHNESS, FloatArray, Material
from model_training.simulator.ships.structure import Structure
from model_training.simulator.ships.visit import Visit


@dataclass(frozen=True, slots=True)
class EchoRanges:
    """Strengths of the echoes, in the units of `ROUGHNESS`.

    Chosen by eye, so that the values of chips are spread like genuine ones (docs/simulator.md).
    """

    shadow: float = 0.02  # power in radar shadow over that outside
    fading_deviation: float = 0.9  # of the logarithm of the slow change along the hull
    fading_knots: int = 4  # places between which it is interpolated
    bounce_delay_m: float = 9.0  # mean way of echoes among house, cranes and machinery
    bounce_power: float = 0.25
    bounce_height: float = 0.5  # over the height where they were made
    corner_deviation: float = 0.5  # of the logarithm, between visits
    least_corner: float = 1.0  # weaker corner reflectors do not show
    canvas_height_m: float = 22.0  # structure for whose layover the canvas has room
    canvas_height_of_l: float = 0.25
    most_layover_m: float = 30.0
    crop_width: float = 1.33  # usual width of the crop over that of what shows
    shown: float = 0.002  # power above which a pixel counts as ship


@dataclass(frozen=True, slots=True)
class WallRanges:
    """Echoes of walls; chosen by eye, as those of `EchoRanges`."""

    diffuse: float = 11.0
    mirror: float = 90.0  # in the flash of a wall that faces the radar squarely
    hull_diffuse: float = 0.08  # of the ship's side, which the sea mirrors
    hull_mirror: float = 90.0
    least_facing: float = 0.03  # cosine to the look below which a wall is not lit
    least_step_m: float = 0.6
    most_step_m: float = 30.0
    most_height_m: float = 14.0  # higher walls are no stronger
    hull_tolerance_m: float = 0.01
    foot_share: float = 0.6  # of the power: two bounces, as if from the foot
    facets: int = 2  # single bounces from places up the wall
    facet_share: float = 0.2  # of the power, each


ECHO = EchoRanges()
WALL = WallRanges()
_NORMALS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Directions (rows, columns) in which walls face: fore, aft, starboard, port."""
_BOUNCING: npt.NDArray[np.bool_] = np.zeros(Material.COUNT, bool)
_BOUNCING[[Material.HOUSE, Material.HOUSE_ROOF, Material.CRANE, Material.FUNNEL]] = True
_BOUNCING[Material.MACHINERY] = True


@dataclass(slots=True)
class Echoes:
    """Scatterers as parallel lists of arrays."""

    row: list[FloatArray] = field(default_factory=list)
    """Cells from the stern."""
    column: list[FloatArray] = field(default_factory=list)
    """Cells from the port side."""
    height: list[FloatArray] = field(default_factory=list)
    """Metres above the main deck."""
    power: list[FloatArray] = field(default_factory=list)

    def add(
        self,
        row: npt.NDArray[np.floating],
        column: npt.NDArray[np.floating],
        height: npt.NDArray[np.floating],
        power: npt.NDArray[np.floating],
    ) -> None:
        """Append scatterers, given by arrays of one length."""
        self.row.append(row.astype(np.float32, copy=False))
        self.column.append(column.astype(np.float32, copy=False))
        self.height.append(height.astype(np.float32, copy=False))
        self.power.append(power.astype(np.float32, copy=False))


def render(
    structure: Structure,
    visit: Visit,
    geometry: SarGeometry,
    gsd_m: float,
    config: SimulatorConfig,
    rng: Rng,
) -> Sight:
    """Render one SAR chip, bow down.

    Returns:
        Compressed amplitude, float32 ``[H, W]`` at `gsd_m` metres per pixel, with mask and frame.
    """
    echoes = surface_and_wall_echoes(structure, visit, geometry, rng)
    points = _corner_echoes(structure, geometry, rng)
    cell = structure.maps.cell_m
    length, width = (cells * cell for cells in structure.inside.shape)

    # The canvas has room for the ship and for what is laid over to its side.
    tall = min(ECHO.canvas_height_m, ECHO.canvas_height_of_l * length)
    over = min(tall / float(np.tan(geometry.incidence)), ECHO.most_layover_m)
    layover = (over * np.cos(geometry.look_azimuth), over * np.sin(geometry.look_azimuth))
    canvas = Canvas.around((length, width), layover, gsd_m)
    intensity = canvas.splat(*project(echoes, structure, geometry))
    corners = canvas.cells(*project(points, structure, geometry))

    along, across = canvas.extent(intensity)
    across = _crop_sides(across, width, config.sar_crop_by_hull)
    frame = draw_frame(along, across, ECHO.crop_width, config, rng)
    amplitude = form_image(intensity, corners, geometry, gsd_m, rng)
    chip, mask = canvas.cut(amplitude, intensity > ECHO.shown, frame)
    chip = resample(chip, rng)
    return Sight(compress(chip, rng), mask, frame)


def _crop_sides(across: tuple[float, float], beam_m: float, by_hull: float) -> tuple[float, float]:
    """Move the sides of what shows towards the hull: people crop to the ship, not to its layover.

    Args:
        across: first and last y at which the ship shows, metres from the centre line.
        by_hull: 0 keeps what shows, 1 takes the hull.
    """
    left, right = across
    return (
        (1 - by_hull) * left - by_hull * beam_m / 2,
        (1 - by_hull) * right + by_hull * beam_m / 2,
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    """Ship on the water as one pulse lights it; arrays are ``[rows, columns]``."""

    height: FloatArray
    """Metres above the main deck; the water lies the freeboard below it."""
    inside: npt.NDArray[np.bool_]
    lit: FloatArray
    """Power of each cell, relative to what its material returns on the mean."""
    look: tuple[float, float]
    """Direction (rows, columns) in which the pulse travels."""
    cell_m: float
    freeboard_m: float
    mirror_lobe_rad: float
    hull_lobe_rad: float
    hull_gain: float


def surface_and_wall_echoes(
    structure: Structure, visit: Visit, geometry: SarGeometry, rng: Rng
) -> Echoes:
    """Draw the diffuse echoes of all lit surfaces, and those of walls that face the radar."""
    scene = _light(structure, visit, geometry, rng)
    echoes = Echoes()
    flat = np.flatnonzero(scene.inside)
    row, column = _places(flat, scene.height.shape[1])
    material, top = visit.maps.material.ravel()[flat], scene.height.ravel()[flat]
    power = np.float32(scene.cell_m * scene.cell_m) * ROUGHNESS[material] * scene.lit.ravel()[flat]
    echoes.add(row, column, top, power)
    bouncing = _BOUNCING[material]
    _add_late_echoes(
        echoes, scene, row[bouncing], column[bouncing], top[bouncing], power[bouncing], rng
    )
    for normal in _NORMALS:
        _add_walls(echoes, scene, normal, rng)
    return echoes


def _light(structure: Structure, visit: Visit, geometry: SarGeometry, rng: Rng) -> _Scene:
    """Draw how strongly the pulse lights each cell: shadow, glitter and fading."""
    cell = structure.maps.cell_m
    inside = visit.maps.material != Material.WATER
    height = np.where(inside, visit.maps.height, np.float32(-visit.freeboard_m))
    look = (float(np.cos(geometry.look_azimuth)), float(np.sin(geometry.look_azimuth)))
    dark = shadow_mask(height, cell, look, np.pi / 2 - geometry.incidence)
    lit = np.where(dark, np.float32(ECHO.shadow), np.float32(1.0))
    # Part of the glitter stays from visit to visit, part changes with the angle.
    lit *= structure.sparkle * rng.standard_exponential(height.shape, dtype=np.float32)
    lit *= _fading(height.shape[0], rng)[:, None]
    return _Scene(
        height,
        inside,
        lit,
        look,
        cell,
        visit.freeboard_m,
        structure.mirror_lobe_rad,
        geometry.hull_lobe_rad,
        geometry.hull_gain,
    )


def _add_walls(echoes: Echoes, scene: _Scene, normal: tuple[int, int], rng: Rng) -> None:
    """Add the echoes of the walls that face in the direction `normal` (rows, columns)."""
    facing = -(normal[0] * scene.look[0] + normal[1] * scene.look[1])
    if facing < WALL.least_facing:
        return
    front = shifted(scene.height, -normal[0], -normal[1], -scene.freeboard_m)
    step = scene.height - front
    wall = np.flatnonzero((step > WALL.least_step_m) & scene.inside)
    if wall.size == 0:
        return
    foot = front.ravel()[wall]
    rise = np.minimum(step.ravel()[wall], WALL.most_step_m)
    hull = foot < -scene.freeboard_m + WALL.hull_tolerance_m
    off_square = float(np.arcsin(np.sqrt(max(1 - facing * facing, 0.0))))
    flash = float(np.exp(-((off_square / scene.mirror_lobe_rad) ** 2)))
    diffuse = np.where(hull, np.float32(WALL.hull_diffuse), np.float32(WALL.diffuse))
    hull_flash = scene.hull_gain * float(np.exp(-((off_square / scene.hull_lobe_rad) ** 2)))
    mirror = np.where(
        hull, np.float32(WALL.hull_mirror * hull_flash), np.float32(WALL.mirror * flash)
    )
    power = (diffuse * facing + mirror) * np.minimum(rise, WALL.most_height_m)
    power = power * np.float32(scene.cell_m) * scene.lit.ravel()[wall]
    row, column = _places(wall, scene.height.shape[1])
    # Two bounces, floor and wall, come back as if from the foot; the rest from the wall.
    echoes.add(row, column, foot, WALL.foot_share * power)
    for _ in range(WALL.facets):
        up = foot + rise * rng.random(wall.size, dtype=np.float32)
        echoes.add(row, column, up, WALL.facet_share * power)


def _places(flat: npt.NDArray[np.intp], columns: int) -> tuple[FloatArray, FloatArray]:
    """Return rows and columns of flat indices."""
    row = flat // columns
    return row.astype(np.float32), (flat - row * columns).astype(np.float32)


def _fading(rows: int, rng: Rng) -> FloatArray:
    """Draw a slow change of power along the hull: its parts differ in aspect and focus."""
    knots = ECHO.fading_knots
    levels = rng.normal(0.0, ECHO.fading_deviation, knots)
    slow = np.interp(np.linspace(0, knots - 1, rows), np.arange(knots), levels)
    return np.exp(slow).astype(np.float32)


def _add_late_echoes(
    echoes: Echoes,
    scene: _Scene,
    row: FloatArray,
    column: FloatArray,
    height: FloatArray,
    power: FloatArray,
    rng: Rng,
) -> None:
    """Add echoes that bounce among house, cranes and machinery and appear behind them.

    `row`, `column`, `height` and `power` are the direct echoes of what bounces, as in `Echoes`.
    """
    if row.size == 0:
        return
    delay = rng.standard_exponential(row.size, dtype=np.float32)
    delay *= np.float32(ECHO.bounce_delay_m / scene.cell_m)
    echoes.add(
        row + delay * scene.look[0],
        column + delay * scene.look[1],
        height * ECHO.bounce_height,
        ECHO.bounce_power * power,
    )


def _corner_echoes(structure: Structure, geometry: SarGeometry, rng: Rng) -> Echoes:
    """Draw the echoes of the corner reflectors whose lobe looks at the radar."""
    corner = structure.reflectors
    towards = geometry.look_azimuth + np.pi
    off = np.angle(np.exp(1j * (corner.bearing - towards)))  # wrapped to -pi..pi
    gain = np.exp(-((off / corner.lobe) ** 2)) * rng.lognormal(
        0.0, ECHO.corner_deviation, off.shape
    )
    power = corner.strength * gain
    shows = power > ECHO.least_corner
    echoes = Echoes()
    echoes.add(corner.row[shows], corner.column[shows], corner.height[shows], power[shows])
    return echoes


def project(
    echoes: Echoes, structure: Structure, geometry: SarGeometry
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Project echoes to ground range: height moves them towards the radar, motion along azimuth.

    Returns:
        x, y in metres (x from the stern, y from the centre line) and power, for all echoes.
        The main deck is kept in place, so the waterline moves away from the radar.
    """
    cell = structure.maps.cell_m
    rows, columns = structure.inside.shape
    height = np.concatenate(echoes.height)
    x = (np.concatenate(echoes.row) + np.float32(0.5)) * cell
    y = (np.concatenate(echoes.column) + np.float32(0.5 - columns / 2)) * cell
    look = (np.cos(geometry.look_azimuth), np.sin(geometry.look_azimuth))
    towards = -height / np.float32(np.tan(geometry.incidence))
    along = geometry.drift[0] * height + geometry.drift[1] * (x - rows * cell / 2)
    x = x + towards * np.float32(look[0]) - along * np.float32(look[1])
    y = y + towards * np.float32(look[1]) + along * np.float32(look[0])
    return x, y, np.concatenate(echoes.power)
