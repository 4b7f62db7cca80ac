"""From radiance on the ship's grid to the chip: optics, air, sensor and product."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import Frame
from model_training.simulator.noise import value_noise
from model_training.simulator.raster import BoolArray, ByteArray
from model_training.simulator.ships.materials import FloatArray

# Radiance is resampled as its square root in 8 bits: the root spreads the dark tones.
_LINEAR: FloatArray = ((np.arange(256) / 255.0) ** 2).astype(np.float32)
_TONE_STEPS = 1023
_AIR: FloatArray = np.array([0.3, 0.42, 0.6], np.float32)
"""Colour of the light that clear air scatters into the view."""
_HAZE: FloatArray = np.array([0.38, 0.4, 0.43], np.float32)
_CAST = np.array([1.1, 0.85, 1.0])
"""The sensor's usual cast: genuine products hold less green than paint and sea would give."""


def sample_frame(
    image: FloatArray,
    seen: BoolArray,
    frame: Frame,
    margin: int,
    cell: float,
    gsd_m: float,
    ship_columns: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, BoolArray]:
    """Blur with the sensor's point spread and sample the frame.

    Args:
        image: radiance on the ship's grid, float32 ``[3, rows, columns]``.
        seen: where the ship shows, ``[rows, columns]``.

    Returns:
        Radiance float32 ``[H, W, 3]``, 0..1, and the ship's mask ``[H, W]``.
    """
    shape = frame.pixels(gsd_m)
    scale = gsd_m / cell
    middle = ship_columns / 2 + margin
    cos, sin = np.cos(frame.rotation_rad) * scale, np.sin(frame.rotation_rad) * scale
    # PIL maps output (x, y) to input: columns are x, rows are y.
    cx, cy = frame.centre_y / cell + middle, frame.centre_x / cell + margin
    hw, hh = shape[1] / 2, shape[0] / 2
    matrix = (cos, sin, cx - cos * hw - sin * hh, -sin, cos, cy + sin * hw - cos * hh)
    root = np.clip(image, 0, 1)
    np.sqrt(root, out=root)
    root *= 255
    coded = np.empty((*seen.shape, 3), np.uint8)
    for band, plane in enumerate(root):
        coded[..., band] = plane
    fill = tuple(int(v) for v in coded[1, 1])
    size = (shape[1], shape[0])
    blurred = Image.fromarray(coded).filter(
        ImageFilter.BoxBlur(float(rng.uniform(0.35, 0.75)) * scale)
    )
    chip = blurred.transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )
    mask = Image.fromarray(seen.view(np.uint8)).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
    )
    return _LINEAR.take(np.asarray(chip)), np.asarray(mask).view(bool)


def add_haze(chip: FloatArray, config: SimulatorConfig, rng: np.random.Generator) -> FloatArray:
    """Path radiance, thin haze, and cloud in patches; changes and returns `chip`."""
    # Band by band: arithmetic along an axis of three is several times as slow.
    bands = [chip[..., band] for band in range(3)]
    path = np.float32(rng.gamma(1.2, 0.004))
    for band, colour in zip(bands, _AIR, strict=True):
        band += colour * path
    if rng.random() < config.haze_probability:
        amount = float(rng.uniform(0.05, 0.35))
        veil = np.float32(amount) * (1 + 0.4 * value_noise(chip.shape[:2], 40, rng))
        np.clip(veil, 0, 0.7, out=veil)
        for band, colour in zip(bands, _HAZE, strict=True):
            band += veil * (colour - band)
    if rng.random() < config.cloud_probability:
        field = value_noise(chip.shape[:2], max(chip.shape[0] / 3, 8), rng)
        field += 0.4 * value_noise(chip.shape[:2], 12, rng)
        cover = np.clip((field - rng.uniform(-0.3, 0.9)) * 0.9, 0, 0.92)
        white = np.float32(rng.uniform(0.45, 0.75))
        for band in bands:
            band += cover * (white - band)
    return chip


def expose(chip: FloatArray, rng: np.random.Generator) -> ByteArray:
    """Colour cast, exposure, tone curve, sharpening and noise: uint8 ``[H, W, 3]``."""
    blue = float(rng.normal(0.03, 0.1))  # cold or warm cast
    gains = rng.normal(1.0, 0.08, 3) * _CAST * np.array([1 - blue, 1.0, 1 + blue])
    exposure = float(rng.lognormal(-0.1, 0.35))
    saturation = float(rng.uniform(0.6, 1.25))
    mix = np.eye(3) * saturation + (1 - saturation) / 3
    mix = np.diag(exposure * np.clip(gains, 0.6, 1.5)) @ mix
    bright = chip.reshape(-1, 3) @ (mix * _TONE_STEPS).astype(np.float32)
    np.clip(bright, 0, _TONE_STEPS, out=bright)
    coded = _tone_curve(rng).take(bright.astype(np.int16)).reshape(chip.shape)
    image = Image.fromarray(coded)
    if rng.random() < 0.6:
        image = image.filter(
            ImageFilter.UnsharpMask(float(rng.uniform(0.8, 1.8)), int(rng.uniform(60, 220)), 0)
        )
    return _add_noise(np.asarray(image), rng)


def _add_noise(coded: ByteArray, rng: np.random.Generator) -> ByteArray:
    """Gaussian noise, on most products the same in all bands; uint8 ``[H, W, 3]``."""
    deviation = np.float32(rng.gamma(1.5, 1.2))
    grains = 1 if rng.random() < 0.6 else 3
    noise = rng.standard_normal((*coded.shape[:2], grains), dtype=np.float32)
    noise *= deviation
    if grains == 1:
        noise = np.repeat(noise, 3, axis=2)
    noise += coded
    np.clip(noise, 0, 255, out=noise)
    return noise.astype(np.uint8)


def _tone_curve(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Black level, gamma and, on half of the products, an S-shaped contrast curve."""
    level = np.arange(_TONE_STEPS + 1) / _TONE_STEPS
    tone = np.clip(level - rng.uniform(0.0, 0.02), 0.0, 1.0) ** rng.uniform(0.5, 0.85)
    if rng.random() < 0.5:
        tone = tone * (0.6 + 0.9 * tone - 0.5 * tone * tone)
    return (np.clip(tone, 0, 1) * 255).astype(np.uint8)
