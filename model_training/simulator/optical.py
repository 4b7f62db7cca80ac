"""The optical chip: sun, shadow, lean of tall structure, sea, haze and the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.framing import Frame, draw_frame
from model_training.simulator.materials import FloatArray, Material
from model_training.simulator.noise import value_noise
from model_training.simulator.raster import BoolArray, ByteArray
from model_training.simulator.shadow import shadow_mask
from model_training.simulator.structure import Structure
from model_training.simulator.visit import Visit

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
    margin = round(min(_MARGIN_M, 6.0 + 0.5 * visit.maps.height.shape[0] * cell) / cell)
    height = np.pad(visit.maps.height + visit.freeboard_m, margin)
    material = np.pad(visit.maps.material, margin)
    on_ship = material != Material.WATER
    height[~on_ship] = 0.0

    source, wall = _lean(height, on_ship, visit.freeboard_m, geometry, cell)
    seen = source >= 0
    sea = _sea(height.shape, cell, geometry, height, structure, margin, rng)
    if rng.random() < config.alongside_probability:
        _alongside(sea, visit, height.shape, margin, cell, rng)
    image = sea
    colour = _lit_colours(structure, visit, geometry, height, material, margin, source[seen], rng)
    colour *= np.where(wall[seen], np.float32(rng.uniform(0.35, 0.8)), np.float32(1.0))[:, None]
    image[seen] = colour

    # What a person sees of the ship is what is lit: a stern in its own shadow may be cut off.
    frame = draw_frame(*_extent(seen, margin, cell, structure), 1.2, config, rng)
    chip, mask = _resample(image, seen, frame, margin, cell, gsd_m, structure.inside.shape[1], rng)
    return Sight(_sensor(_haze(chip, config, rng), config, rng), mask, frame)


def _lit_colours(
    structure: Structure,
    visit: Visit,
    geometry: OpticalGeometry,
    height: FloatArray,
    material: ByteArray,
    margin: int,
    cells: npt.NDArray[np.int32],
    rng: np.random.Generator,
) -> FloatArray:
    """Radiance of the surface `cells` (flat indices): paint times sun and sky, ``[n, 3]``."""
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
    light *= np.pad(structure.paint, margin, constant_values=1.0)
    tint = np.array([sky * 0.85, sky, sky * 1.25], np.float32)
    lit: FloatArray = visit.palette[material.ravel()[cells]]
    lit *= light.ravel()[cells][:, None] + tint
    return lit


def _lean(
    height: FloatArray,
    on_ship: BoolArray,
    freeboard: float,
    geometry: OpticalGeometry,
    cell: float,
) -> tuple[npt.NDArray[np.int32], BoolArray]:
    """Which cell is seen where, looking off nadir.

    Slices of the ship from the waterline up are laid over each other, each moved by its height
    above the main deck times the tangent of the off-nadir angle; higher slices hide lower ones.

    Returns:
        Index of the visible cell (-1 for water) and whether its wall rather than its top shows.
    """
    rows, columns = height.shape
    source = np.full(rows * columns, -1, np.int32)
    wall = np.zeros(rows * columns, bool)
    shift = float(np.tan(geometry.off_nadir)) / cell
    direction = (np.cos(geometry.view_azimuth) * shift, np.sin(geometry.view_azimuth) * shift)
    cells = np.flatnonzero(on_ship).astype(np.int32)
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
        wall[target] = tops > level + step
        if level >= top:
            break
        level = min(level + step, top) if level >= 0 else min(level + step, 0.0)
        keep = tops >= level - step * 0.5
        if not keep.all():
            cells, tops = cells[keep], tops[keep]
        if cells.size == 0:
            break
    return source.reshape(rows, columns), wall.reshape(rows, columns)


def _sea(
    shape: tuple[int, ...],
    cell: float,
    geometry: OpticalGeometry,
    height: FloatArray,
    structure: Structure,
    margin: int,
    rng: np.random.Generator,
) -> FloatArray:
    base = np.array([0.012, 0.028, 0.055], np.float32) * np.float32(rng.lognormal(0.0, 0.45))
    base = base * rng.uniform(0.75, 1.3, 3).astype(np.float32)
    if rng.random() < 0.2:  # silt or shallow water
        base = base + np.array([0.04, 0.07, 0.06], np.float32) * np.float32(rng.uniform(0.2, 1))
    rough = float(rng.gamma(1.5, 0.06))
    waves = value_noise(shape, 2.5 / cell, rng) + value_noise(shape, 9.0 / cell, rng)
    grain = rng.standard_normal(shape, dtype=np.float32)
    level = 1.0 + rough * (waves + 0.5 * grain)
    if rng.random() < 0.15:  # sun glint
        level = level + np.float32(rng.uniform(0.2, 1.5)) * np.maximum(waves, 0) * np.float32(
            rough * 6
        )
    sea: FloatArray = np.maximum(level, 0.2)[..., None] * base
    if rng.random() < 0.12:
        _wake(sea, structure, margin, rng)
    return sea


def _wake(sea: FloatArray, structure: Structure, margin: int, rng: np.random.Generator) -> None:
    """Foam astern and along both sides of a moving ship."""
    rows, columns = sea.shape[:2]
    beam = structure.inside.shape[1]
    r = np.arange(rows, dtype=np.float32)[:, None] - margin
    c = np.abs(np.arange(columns, dtype=np.float32)[None, :] - columns / 2)
    bow = structure.inside.shape[0] - r
    arm = np.exp(-(((c - beam * 0.5 - 0.12 * bow) / (0.06 * beam + 0.05 * bow.clip(0))) ** 2))
    foam = np.where(bow > 0, arm * np.exp(-bow / (3.0 * beam)), 0.0)
    foam = foam + np.where(r < 3, np.exp(-((c / (beam * 0.4)) ** 2)), 0.0)
    rough = 0.6 + 0.5 * value_noise((rows, columns), 3.0, rng)
    sea += (np.float32(rng.uniform(0.1, 0.5)) * foam * np.maximum(rough, 0.0))[..., None]


def _alongside(
    sea: FloatArray,
    visit: Visit,
    shape: tuple[int, ...],
    margin: int,
    cell: float,
    rng: np.random.Generator,
) -> None:
    """A tug, barge or quay edge beside the hull."""
    rows, columns = shape[:2]
    side = float(rng.choice([-1.0, 1.0]))
    edge = columns / 2 + side * (columns / 2 - margin)
    long_m, wide_m = (float(rng.uniform(8, 30)), float(rng.uniform(4, 9)))
    if rng.random() < 0.2:
        long_m, wide_m = 500.0, 20.0
    at = int(rng.uniform(margin, rows - margin))
    r0, r1 = max(at - int(long_m / cell / 2), 0), at + int(long_m / cell / 2)
    c0 = edge + side * 1.0 / cell
    c1 = c0 + side * wide_m / cell
    lo, hi = (round(min(c0, c1)), round(max(c0, c1)))
    colour = rng.uniform(0.15, 0.6) * rng.uniform(0.7, 1.1, 3)
    sea[r0:r1, max(lo, 0) : max(hi, 0)] = colour.astype(np.float32)
    third = max((hi - lo) // 4, 1)
    sea[r0 + 2 : (r0 + r1) // 2, max(lo + third, 0) : max(hi - third, 0)] = np.float32(0.6)


def _extent(
    seen: BoolArray, margin: int, cell: float, structure: Structure
) -> tuple[tuple[float, float], tuple[float, float]]:
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    middle = structure.inside.shape[1] / 2 + margin
    return (
        ((rows[0] - margin) * cell, (rows[-1] + 1 - margin) * cell),
        ((columns[0] - middle) * cell, (columns[-1] + 1 - middle) * cell),
    )


def _resample(
    image: FloatArray,
    seen: BoolArray,
    frame: Frame,
    margin: int,
    cell: float,
    gsd_m: float,
    ship_columns: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, BoolArray]:
    """Blur with the sensor's point spread and sample the frame; values stay 0..1."""
    shape = frame.pixels(gsd_m)
    scale = gsd_m / cell
    middle = ship_columns / 2 + margin
    cos, sin = np.cos(frame.rotation_rad) * scale, np.sin(frame.rotation_rad) * scale
    # PIL maps output (x, y) to input: columns are x, rows are y.
    cx, cy = frame.centre_y / cell + middle, frame.centre_x / cell + margin
    hw, hh = shape[1] / 2, shape[0] / 2
    matrix = (cos, sin, cx - cos * hw - sin * hh, -sin, cos, cy + sin * hw - cos * hh)
    # A square root spreads the dark tones over the 8 bits of the resampler.
    coded = Image.fromarray((np.sqrt(np.clip(image, 0, 1)) * 255).astype(np.uint8))
    spread = float(rng.uniform(0.35, 0.75)) * scale
    coded = coded.filter(ImageFilter.BoxBlur(spread))
    fill = tuple(int(v) for v in np.asarray(coded)[1, 1])
    size = (shape[1], shape[0])
    chip = coded.transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )
    mask = Image.fromarray(seen).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
    )
    linear = (np.asarray(chip, np.float32) / 255.0) ** 2
    return linear, np.asarray(mask, bool)


def _haze(chip: FloatArray, config: SimulatorConfig, rng: np.random.Generator) -> FloatArray:
    """Path radiance, thin haze, and cloud in patches."""
    air = np.array([0.3, 0.42, 0.6], np.float32) * np.float32(rng.gamma(1.2, 0.004))
    chip = chip + air
    if rng.random() < config.haze_probability:
        amount = float(rng.uniform(0.05, 0.35))
        veil = np.float32(amount) * (1 + 0.4 * value_noise(chip.shape[:2], 40, rng))
        veil = np.clip(veil, 0, 0.7)[..., None]
        chip = chip * (1 - veil) + veil * np.array([0.38, 0.4, 0.43], np.float32)
    if rng.random() < config.cloud_probability:
        field = value_noise(chip.shape[:2], max(chip.shape[0] / 3, 8), rng)
        field += 0.4 * value_noise(chip.shape[:2], 12, rng)
        cover = np.clip((field - rng.uniform(-0.3, 0.9)) * 0.9, 0, 0.92)[..., None]
        chip = chip * (1 - cover) + cover * np.float32(rng.uniform(0.45, 0.75))
    return chip


def _sensor(
    chip: FloatArray, config: SimulatorConfig, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Colour cast, exposure, tone curve, sharpening and noise, to 8 bits."""
    gains = rng.normal(1.0, 0.08, 3)
    blue = float(rng.normal(0.03, 0.1))  # cold or warm cast
    gains = gains * np.array([1 - blue, 1.0, 1 + blue])
    exposure = float(rng.lognormal(-0.1, 0.35))
    chip = chip * (exposure * np.clip(gains, 0.6, 1.5)).astype(np.float32)
    black = float(rng.uniform(0.0, 0.02))
    tone = np.clip(chip - black, 0.0, 1.0) ** np.float32(rng.uniform(0.5, 0.85))
    if rng.random() < 0.5:  # contrast curve of a visual product
        tone = tone * (0.6 + 0.9 * tone - 0.5 * tone * tone)
    grey = tone.mean(2, keepdims=True)
    saturation = np.float32(rng.uniform(0.6, 1.25))
    tone = grey + (tone - grey) * saturation
    image = Image.fromarray((np.clip(tone, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.6:
        image = image.filter(
            ImageFilter.UnsharpMask(float(rng.uniform(0.8, 1.8)), int(rng.uniform(60, 220)), 0)
        )
    noise = float(rng.gamma(1.5, 1.2))
    shape = (image.height, image.width, 1 if rng.random() < 0.6 else 3)
    noisy = np.asarray(image, np.float32) + noise * rng.standard_normal(shape, dtype=np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8)
