"""The SAR chip: facets, dihedrals and corners through layover, shadow and the impulse response.

Amplitudes are in units of the product's own scale (`_compress`): deck machinery near 3, calm
sea near 0.01, saturation near 9.5, so that values come out like those of HOSS: the logarithm of
one plus amplitude, float32, 0 to about 2.4. (Genuine chips show Rayleigh speckle on the sea,
deviation over mean 0.52, that shrinks on bright decks as this law foretells.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import draw_frame
from model_training.simulator.draws import pick, pick_weighted
from model_training.simulator.sensors.canvas import Canvas
from model_training.simulator.sensors.optical import Sight
from model_training.simulator.sensors.shadow import shadow_mask, shifted
from model_training.simulator.ships.materials import ROUGHNESS, FloatArray, Material
from model_training.simulator.ships.structure import Structure
from model_training.simulator.ships.visit import Visit

_WALL_DIFFUSE = 11.0
_WALL_MIRROR = 90.0
_BUSY: npt.NDArray[np.bool_] = np.zeros(Material.COUNT, bool)
_BUSY[[Material.HOUSE, Material.HOUSE_ROOF, Material.CRANE, Material.FUNNEL]] = True
_BUSY[Material.MACHINERY] = True
_HULL_DIFFUSE = 0.08
_HULL_MIRROR = 90.0
_LOOKS: list[float] = np.cumsum([0.5, 0.3, 0.1, 0.1]).tolist()
"""Running share of products of one look, two, three and four."""


@dataclass(frozen=True, slots=True)
class SarGeometry:
    """Angles in radians; azimuth from the bow direction towards starboard."""

    incidence: float
    look_azimuth: float
    """Horizontal direction in which the pulse travels."""
    resolution_m: float
    looks: int
    smear: float
    """Quadratic phase error at the band edge over pi: 0 in focus; the smear is about twice
    this many resolution cells long."""
    drift: tuple[float, float]
    """Azimuth shift by radial motion: metres per metre of height, metres per metre along."""


@dataclass(slots=True)
class _Echoes:
    """Scatterers as parallel lists of arrays: map rows, columns, heights above deck, power."""

    row: list[FloatArray]
    column: list[FloatArray]
    height: list[FloatArray]
    power: list[FloatArray]

    def add(
        self,
        row: npt.NDArray[np.floating],
        column: npt.NDArray[np.floating],
        height: npt.NDArray[np.floating],
        power: npt.NDArray[np.floating],
    ) -> None:
        self.row.append(row.astype(np.float32, copy=False))
        self.column.append(column.astype(np.float32, copy=False))
        self.height.append(height.astype(np.float32, copy=False))
        self.power.append(power.astype(np.float32, copy=False))


def draw_geometry(config: SimulatorConfig, gsd_m: float, rng: np.random.Generator) -> SarGeometry:
    """Angles and processing of one acquisition."""
    moving = rng.random() < config.moving_probability
    low, high = config.sar_resolution_m
    return SarGeometry(
        incidence=float(np.deg2rad(rng.uniform(*config.incidence_deg))),
        look_azimuth=float(rng.uniform(0, 2 * np.pi)),
        resolution_m=max(float(rng.uniform(low, high)), 1.0 * gsd_m),
        looks=pick_weighted(rng, (1, 2, 3, 4), _LOOKS),
        smear=float(rng.gamma(1.2, 5.0)) if moving else float(rng.gamma(1.0, 0.25)),
        drift=((float(rng.normal(0, 0.35)), float(rng.normal(0, 0.05))) if moving else (0.0, 0.0)),
    )


def render(
    structure: Structure,
    visit: Visit,
    geometry: SarGeometry,
    gsd_m: float,
    config: SimulatorConfig,
    rng: np.random.Generator,
) -> Sight:
    """Render one SAR chip, bow down.

    Returns:
        float32 ``[H, W]`` at `gsd_m` metres per pixel, compressed amplitude.
    """
    echoes = _surfaces_and_walls(structure, visit, geometry, rng)
    points = _points(structure, visit, geometry, rng)
    cell = structure.maps.cell_m
    rows, columns = structure.inside.shape
    x, y, power = _project(echoes, structure, visit, geometry)
    px, py, point_power = _project(points, structure, visit, geometry)

    # The canvas: the ship and what is laid over to its side, in chip pixels.
    over = min(min(22.0, 0.25 * rows * cell) / float(np.tan(geometry.incidence)), 30.0)
    layover = (over * np.cos(geometry.look_azimuth), over * np.sin(geometry.look_azimuth))
    canvas = Canvas.around((rows * cell, columns * cell), layover, gsd_m)
    intensity = canvas.splat(x, y, power)
    corners = canvas.cells(px, py, point_power)

    frame = draw_frame(*canvas.extent(intensity), 1.22, config, rng)
    amplitude = _image(intensity, corners, geometry, gsd_m, rng)
    chip, mask = canvas.cut(amplitude, intensity > 0.002, frame)
    chip = _interpolate(chip, rng)
    return Sight(_compress(chip, rng), mask, frame)


def _surfaces_and_walls(
    structure: Structure, visit: Visit, geometry: SarGeometry, rng: np.random.Generator
) -> _Echoes:
    """Diffuse return of all lit surfaces, and of walls that face the radar."""
    cell = structure.maps.cell_m
    deck = visit.freeboard_m
    inside = visit.maps.material != Material.WATER
    height = np.where(inside, visit.maps.height, np.float32(-deck))
    material = visit.maps.material
    look = (float(np.cos(geometry.look_azimuth)), float(np.sin(geometry.look_azimuth)))
    dark = shadow_mask(height, cell, look, np.pi / 2 - geometry.incidence)
    lit = np.where(dark, np.float32(0.02), np.float32(1.0))
    # Part of the glitter stays from visit to visit, part changes with the angle.
    glitter = structure.sparkle * rng.standard_exponential(height.shape, dtype=np.float32)
    lit *= glitter
    lit *= _fading(height.shape[0], rng)[:, None]
    area = np.float32(cell * cell)
    echoes = _Echoes([], [], [], [])

    # Bare deck between fittings is never quite bare: density of small gear differs by place.
    flat = np.flatnonzero(inside)
    r, c = _places(flat, height.shape[1])
    kind, top = material.ravel()[flat], height.ravel()[flat]
    echoes.add(r, c, top, area * ROUGHNESS[kind] * lit.ravel()[flat])
    _bounces(echoes, r, c, top, echoes.power[0], kind, cell, look, rng)

    lobe = structure.mirror_lobe_rad
    for normal in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        facing = -(normal[0] * look[0] + normal[1] * look[1])
        if facing < 0.03:
            continue
        fill = -deck
        front = shifted(height, -normal[0], -normal[1], fill)
        step = height - front
        wall = np.flatnonzero((step > 0.6) & inside)
        if wall.size == 0:
            continue
        rise = np.minimum(step.ravel()[wall], 30.0)
        foot = front.ravel()[wall]
        hull = foot < -deck + 0.01
        flash = float(np.exp(-((np.arcsin(np.sqrt(max(1 - facing * facing, 0.0))) / lobe) ** 2)))
        diffuse = np.where(hull, np.float32(_HULL_DIFFUSE), np.float32(_WALL_DIFFUSE))
        mirror = np.where(hull, np.float32(_HULL_MIRROR), np.float32(_WALL_MIRROR)) * flash
        strength = (diffuse * facing + mirror) * np.minimum(rise, 14.0) * np.float32(cell)
        strength = strength * lit.ravel()[wall]
        r, c = _places(wall, height.shape[1])
        # Two bounces, floor and wall, come back as if from the foot; the rest from the wall.
        echoes.add(r, c, foot, 0.6 * strength)
        for _ in range(2):
            echoes.add(r, c, foot + rise * rng.random(wall.size, dtype=np.float32), 0.2 * strength)
    return echoes


def _places(flat: npt.NDArray[np.intp], columns: int) -> tuple[FloatArray, FloatArray]:
    """Rows and columns of flat indices."""
    row = flat // columns
    return row.astype(np.float32), (flat - row * columns).astype(np.float32)


def _fading(rows: int, rng: np.random.Generator) -> FloatArray:
    """Slow change of brightness along the hull: parts of a ship differ in aspect and focus."""
    slow = np.interp(np.linspace(0, 3, rows), np.arange(4), rng.normal(0.0, 0.9, 4))
    return np.exp(slow).astype(np.float32)


def _bounces(
    echoes: _Echoes,
    r: FloatArray,
    c: FloatArray,
    height: FloatArray,
    power: FloatArray,
    material: npt.NDArray[np.uint8],
    cell: float,
    look: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Echoes among house, cranes and machinery arrive late: behind where they were made."""
    busy = _BUSY[material]
    pick = np.flatnonzero(busy)
    if pick.size == 0:
        return
    delay = rng.standard_exponential(pick.size, dtype=np.float32) * np.float32(9.0 / cell)
    echoes.add(
        r[pick] + delay * look[0], c[pick] + delay * look[1], height[pick] * 0.5, 0.25 * power[pick]
    )


def _points(
    structure: Structure, visit: Visit, geometry: SarGeometry, rng: np.random.Generator
) -> _Echoes:
    """Corner reflectors whose lobe looks at the radar."""
    corner = structure.reflectors
    towards = geometry.look_azimuth + np.pi
    off = np.angle(np.exp(1j * (corner.bearing - towards)))
    gain = np.exp(-((off / corner.lobe) ** 2)) * rng.lognormal(0.0, 0.5, off.shape)
    power = corner.strength * gain
    keep = power > 1.0
    echoes = _Echoes([], [], [], [])
    echoes.add(corner.row[keep], corner.column[keep], corner.height[keep], power[keep])
    return echoes


def _project(
    echoes: _Echoes, structure: Structure, visit: Visit, geometry: SarGeometry
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ground range projection: height moves an echo towards the radar, motion along azimuth.

    Returns:
        x, y in metres (x from the stern, y from the centre line) and power, for all echoes.
        The main deck is kept in place, so the waterline moves away from the radar.
    """
    cell = structure.maps.cell_m
    height = np.concatenate(echoes.height)
    x = (np.concatenate(echoes.row) + np.float32(0.5)) * cell
    y = (np.concatenate(echoes.column) + np.float32(0.5 - structure.inside.shape[1] / 2)) * cell
    look = (np.cos(geometry.look_azimuth), np.sin(geometry.look_azimuth))
    towards = -height / np.float32(np.tan(geometry.incidence))
    along = geometry.drift[0] * height + geometry.drift[1] * (
        x - structure.inside.shape[0] * cell / 2
    )
    x = x + towards * np.float32(look[0]) - along * np.float32(look[1])
    y = y + towards * np.float32(look[1]) + along * np.float32(look[0])
    return x, y, np.concatenate(echoes.power)


def _image(
    intensity: FloatArray,
    corners: tuple[npt.NDArray[np.int64], FloatArray],
    geometry: SarGeometry,
    gsd_m: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Speckle, impulse response and looks: amplitude of the detected image.

    Distributed echoes are complex Gaussian before the band limit of the sensor, so speckle,
    its correlation and the side-lobe crosses (along range and azimuth, whose direction in the
    chip follows from the look) come out of one filter.
    """
    shape = intensity.shape
    background = intensity + _sea_and_noise(shape, rng)
    at, strength = corners
    phase = np.exp(2j * np.pi * rng.random(at.size, dtype=np.float32))
    points = (np.sqrt(strength) * phase).astype(np.complex64)
    root = np.sqrt(background * np.float32(0.5))
    response = _transfer(shape, geometry, gsd_m, rng)
    total = np.zeros(shape, np.float32)
    for _ in range(geometry.looks):
        noise = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        noise *= root
        np.add.at(noise.reshape(-1), at, points)
        spectrum = fft.fft2(noise, overwrite_x=True)
        spectrum *= response
        image = fft.ifft2(spectrum, overwrite_x=True)
        total += image.real**2 + image.imag**2
    total /= geometry.looks
    return np.sqrt(total, out=total)


def _transfer(
    shape: tuple[int, ...], geometry: SarGeometry, gsd_m: float, rng: np.random.Generator
) -> npt.NDArray[np.complex64]:
    """Band of the sensor in the chip's frequency plane, turned with the look direction."""
    fr: FloatArray = np.fft.fftfreq(shape[0], gsd_m).astype(np.float32)[:, None]
    fc: FloatArray = np.fft.fftfreq(shape[1], gsd_m).astype(np.float32)[None, :]
    look = (np.float32(np.cos(geometry.look_azimuth)), np.float32(np.sin(geometry.look_azimuth)))
    taper = np.float32(pick(rng, (0.7, 0.58, 0.54, 0.54)))
    # Normalised to +-1 at the band edge; the 3 dB width is 0.89 over the band for a plain sinc
    # and 1.30 under a Hamming window (taper 0.54).
    edge = np.float32((0.89 + 0.89 * (1.0 - taper)) / geometry.resolution_m / 2)
    across = ((fr * look[0] + fc * look[1]) / edge).astype(np.float32, copy=False)
    stretch = np.float32(rng.uniform(0.85, 1.15))
    along = ((-fr * look[1] + fc * look[0]) / (edge * stretch)).astype(np.float32, copy=False)
    # The costly functions are wanted in the band alone; beyond it the response is 0.
    band = np.flatnonzero((np.abs(across) <= 1.0) & (np.abs(along) <= 1.0))
    across, along = across.ravel()[band], along.ravel()[band]
    window = np.zeros(shape, np.float32)
    window.ravel()[band] = _raised_cosine(across, taper) * _raised_cosine(along, taper)
    window *= np.float32(1.0 / max(float(np.sqrt(np.mean(window**2))), 1e-3))
    response = window.astype(np.complex64)
    if geometry.smear >= 0.3:
        phase = np.float32(np.pi * geometry.smear) * along * along
        phase += np.float32(0.15 * geometry.smear * rng.normal()) * along**3
        response.ravel()[band] *= np.exp(1j * phase)
    return response


def _raised_cosine(f: FloatArray, taper: np.float32) -> FloatArray:
    """Weight at `f`, which is -1 and 1 at the edges of the band; `taper` 1 is a plain sinc."""
    weight: FloatArray = taper + (1 - taper) * np.cos(np.pi * f)
    return weight


def _sea_and_noise(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Mean power of K-distributed sea clutter (gamma texture) plus thermal noise."""
    level = float(np.exp(rng.normal(np.log(0.0035), 0.8)))
    noise = float(rng.uniform(0.0008, 0.003)) ** 2
    order = float(rng.uniform(0.8, 8.0))
    coarse = rng.standard_gamma(order, (shape[0] // 6 + 2, shape[1] // 6 + 2)) / order
    texture = Image.fromarray(coarse.astype(np.float32)).resize(
        (shape[1], shape[0]), Image.Resampling.BILINEAR
    )
    power: FloatArray = np.float32(level**2) * np.asarray(texture) + np.float32(noise)
    return power


def _interpolate(amplitude: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Bilinear blur by a part of a pixel, as turning a product upright leaves it."""
    a, b = rng.uniform(0.0, 0.5, 2).astype(np.float32)
    above = np.concatenate((amplitude[-1:], amplitude[:-1]), 0)
    amplitude = amplitude + a * (above - amplitude)
    beside = np.concatenate((amplitude[:, -1:], amplitude[:, :-1]), 1)
    blurred: FloatArray = amplitude + b * (beside - amplitude)
    return blurred


def _compress(amplitude: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Calibration, soft saturation and the product's logarithmic amplitude scale."""
    scaled = amplitude * np.float32(np.exp(rng.normal(-0.5, 0.3)))
    ceiling = np.float32(np.exp(rng.uniform(2.2, 2.45)) - 1.0)
    # Below a 64th of the ceiling the fourth power is lost beside 1: nothing is limited there.
    high = np.flatnonzero(scaled > ceiling / 64)
    bright = scaled.ravel()[high]
    scaled.ravel()[high] = bright / (1.0 + (bright / ceiling) ** 4) ** np.float32(0.25)
    np.log1p(scaled, out=scaled)
    return scaled
