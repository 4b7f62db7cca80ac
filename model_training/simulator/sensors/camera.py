"""Turn radiance on the ship's grid into the chip: optics, air, sensor and product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from model_training.simulator.config import SimulatorConfig
from model_training.simulator.cropping import Frame
from model_training.simulator.draws import Range, Rng, chance, uniform
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
"""Gain of each band: genuine products hold less green than paint and sea would give.
The colours of air, haze and cast are chosen by eye, after the band means of genuine chips."""


@dataclass(frozen=True, slots=True)
class AirRanges:
    """Point spread, path radiance, haze and cloud; chosen by eye."""

    blur_px: Range = (0.35, 0.75)  # half width of the point spread, in pixels of the chip
    path_shape: float = 1.2  # of the gamma distribution of the path radiance
    path_scale: float = 0.004
    haze: Range = (0.05, 0.35)  # share of the light that is the haze's
    haze_contrast: float = 0.4
    haze_px: float = 40.0  # size of its patches
    most_haze: float = 0.7
    cloud_of_chip: float = 3.0  # cloud patches are a third of the chip high
    least_cloud_px: float = 8.0
    cloud_detail: float = 0.4
    cloud_detail_px: float = 12.0
    cloud_threshold: Range = (-0.3, 0.9)
    cloud_opacity: float = 0.9
    most_cloud: float = 0.92
    cloud_white: Range = (0.45, 0.75)


@dataclass(frozen=True, slots=True)
class ProductRanges:
    """Colours, exposure, sharpening and noise of the product; chosen by eye."""

    blue_mean: float = 0.03  # cold (positive) or warm cast
    blue_deviation: float = 0.1
    gain_deviation: float = 0.08
    gain: Range = (0.6, 1.5)  # least and most, of each band
    exposure_mean: float = -0.1  # of the logarithm
    exposure_deviation: float = 0.35
    saturation: Range = (0.6, 1.25)
    sharpened_share: float = 0.6
    sharpening_px: Range = (0.8, 1.8)
    sharpening_percent: Range = (60.0, 220.0)
    noise_shape: float = 1.5  # of the gamma distribution of the noise's deviation
    noise_scale: float = 1.2
    grey_noise_share: float = 0.6  # products with the same noise in all bands
    black_level: Range = (0.0, 0.02)
    gamma: Range = (0.5, 0.85)
    s_curve_share: float = 0.5
    s_curve: tuple[float, float, float] = (0.6, 0.9, -0.5)
    """Polynomial in the tone by which the tone is multiplied; its values at 0 and 1 are 0.6, 1."""


AIR = AirRanges()
PRODUCT = ProductRanges()


def sample_frame(
    image: FloatArray,
    ship_mask: BoolArray,
    frame: Frame,
    margin: int,
    cell: float,
    gsd_m: float,
    ship_columns: int,
    rng: Rng,
) -> tuple[FloatArray, BoolArray]:
    """Blur with the sensor's point spread and sample the frame.

    Args:
        image: radiance on the ship's grid, float32 ``[3, rows, columns]``.
        ship_mask: where the ship shows, ``[rows, columns]``.
        margin: cells of sea around the ship on the grid.
        ship_columns: cells across the ship.

    Returns:
        Radiance float32 ``[H, W, 3]``, 0..1, and the ship's mask ``[H, W]``.
    """
    shape = frame.pixels(gsd_m)
    scale = gsd_m / cell
    middle = ship_columns / 2 + margin
    cos, sin = np.cos(frame.rotation_rad) * scale, np.sin(frame.rotation_rad) * scale
    # PIL maps output (x, y) to input: columns are x, rows are y.
    cx, cy = frame.centre_y / cell + middle, frame.centre_x / cell + margin
    half_w, half_h = shape[1] / 2, shape[0] / 2
    x0, y0 = cx - cos * half_w - sin * half_h, cy + sin * half_w - cos * half_h
    matrix = (cos, sin, x0, -sin, cos, y0)
    root = np.clip(image, 0, 1)
    np.sqrt(root, out=root)
    root *= 255
    coded = np.empty((*ship_mask.shape, 3), np.uint8)  # PIL wants the bands last
    for band, plane in enumerate(root):
        coded[..., band] = plane
    fill = tuple(int(v) for v in coded[1, 1])  # sea, beyond the grid
    size = (shape[1], shape[0])
    blur = ImageFilter.BoxBlur(uniform(rng, AIR.blur_px) * scale)
    blurred = Image.fromarray(coded).filter(blur)
    chip = blurred.transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )
    mask = Image.fromarray(ship_mask.view(np.uint8)).transform(
        size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
    )
    return _LINEAR.take(np.asarray(chip)), np.asarray(mask).view(bool)


def add_haze(chip: FloatArray, config: SimulatorConfig, rng: Rng) -> FloatArray:
    """Add path radiance, thin haze and patches of cloud to `chip`, and return it."""
    # Band by band: arithmetic along an axis of three is several times as slow.
    bands = [chip[..., band] for band in range(3)]
    path = np.float32(rng.gamma(AIR.path_shape, AIR.path_scale))
    for band, colour in zip(bands, _AIR, strict=True):
        band += colour * path
    if rng.random() < config.haze_probability:
        amount = np.float32(uniform(rng, AIR.haze))
        veil = amount * (1 + AIR.haze_contrast * value_noise(chip.shape[:2], AIR.haze_px, rng))
        np.clip(veil, 0, AIR.most_haze, out=veil)
        for band, colour in zip(bands, _HAZE, strict=True):
            band += veil * (colour - band)
    if rng.random() < config.cloud_probability:
        patch = max(chip.shape[0] / AIR.cloud_of_chip, AIR.least_cloud_px)
        field = value_noise(chip.shape[:2], patch, rng)
        field += AIR.cloud_detail * value_noise(chip.shape[:2], AIR.cloud_detail_px, rng)
        excess = field - uniform(rng, AIR.cloud_threshold)
        cover = np.clip(excess * AIR.cloud_opacity, 0, AIR.most_cloud)
        white = np.float32(uniform(rng, AIR.cloud_white))
        for band in bands:
            band += cover * (white - band)
    return chip


def expose(chip: FloatArray, rng: Rng) -> ByteArray:
    """Apply colour cast, exposure, tone curve, sharpening and noise.

    Args:
        chip: radiance, float32 ``[H, W, 3]``.

    Returns:
        uint8 ``[H, W, 3]`` RGB.
    """
    blue = rng.normal(PRODUCT.blue_mean, PRODUCT.blue_deviation)
    gains = rng.normal(1.0, PRODUCT.gain_deviation, 3) * _CAST * np.array([1 - blue, 1.0, 1 + blue])
    exposure = rng.lognormal(PRODUCT.exposure_mean, PRODUCT.exposure_deviation)
    saturation = uniform(rng, PRODUCT.saturation)
    mix = np.eye(3) * saturation + (1 - saturation) / 3  # [3, 3]: each band towards the mean
    mix = np.diag(exposure * np.clip(gains, *PRODUCT.gain)) @ mix
    # Pixels [H * W, 3] times the colour mix [3, 3].
    bright = chip.reshape(-1, 3) @ (mix * _TONE_STEPS).astype(np.float32)
    np.clip(bright, 0, _TONE_STEPS, out=bright)
    coded = _tone_curve(rng).take(bright.astype(np.int16)).reshape(chip.shape)
    image = Image.fromarray(coded)
    if chance(rng, PRODUCT.sharpened_share):
        radius = uniform(rng, PRODUCT.sharpening_px)
        percent = int(uniform(rng, PRODUCT.sharpening_percent))
        image = image.filter(ImageFilter.UnsharpMask(radius, percent, threshold=0))
    return _add_noise(np.asarray(image), rng)


def _add_noise(coded: ByteArray, rng: Rng) -> ByteArray:
    """Add Gaussian noise to uint8 ``[H, W, 3]``, on most products the same in all bands."""
    deviation = np.float32(rng.gamma(PRODUCT.noise_shape, PRODUCT.noise_scale))
    bands = 1 if chance(rng, PRODUCT.grey_noise_share) else 3
    noise = rng.standard_normal((*coded.shape[:2], bands), dtype=np.float32)
    noise *= deviation
    if bands == 1:
        noise = np.repeat(noise, 3, axis=2)
    noise += coded
    np.clip(noise, 0, 255, out=noise)
    return noise.astype(np.uint8)


def _tone_curve(rng: Rng) -> npt.NDArray[np.uint8]:
    """Draw black level, gamma and, on half of the products, an S-shaped contrast curve.

    Returns:
        uint8 ``[_TONE_STEPS + 1]``, the code of each radiance in steps of 1 / `_TONE_STEPS`.
    """
    level = np.arange(_TONE_STEPS + 1) / _TONE_STEPS
    tone = np.clip(level - uniform(rng, PRODUCT.black_level), 0.0, 1.0)
    tone = tone ** uniform(rng, PRODUCT.gamma)
    if chance(rng, PRODUCT.s_curve_share):
        constant, linear, square = PRODUCT.s_curve
        tone = tone * (constant + linear * tone + square * tone * tone)
    return (np.clip(tone, 0, 1) * 255).astype(np.uint8)
