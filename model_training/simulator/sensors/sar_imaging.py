"""Form the SAR image from echoes: speckle, impulse response, sea clutter, product scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

from model_training.simulator.draws import Range, Rng, pick, uniform
from model_training.simulator.sensors.sar_geometry import SarGeometry
from model_training.simulator.ships.materials import FloatArray


@dataclass(frozen=True, slots=True)
class ResponseRanges:
    """The sensor's band, which gives the impulse response its width and side lobes."""

    tapers: tuple[float, ...] = (0.7, 0.58, 0.54, 0.54)
    """Weight of the constant in the raised cosine over the band: 1 is a plain sinc, 0.54 the
    Hamming window. The choice is by eye."""
    sinc_width: float = 0.89  # 3 dB width of a plain sinc, over 1 / bandwidth
    widening: float = 0.89  # more width per unit of 1 - taper; gives 1.30 for a Hamming window
    azimuth_band: Range = (0.85, 1.15)  # over the band in range; chosen by eye
    least_rms: float = 1e-3  # avoids a division by 0
    least_smear: float = 0.3  # a smaller phase error does not show
    cubic_smear: float = 0.15  # deviation of the cubic phase over the quadratic; chosen by eye


@dataclass(frozen=True, slots=True)
class SeaClutterRanges:
    """K-distributed sea clutter and thermal noise; chosen by eye, after genuine chips."""

    median_amplitude: float = 0.0035
    amplitude_deviation: float = 0.8  # of the logarithm
    noise_amplitude: Range = (0.0008, 0.003)
    order: Range = (0.8, 8.0)  # of the gamma texture; smaller is spikier
    texture_px: int = 6


@dataclass(frozen=True, slots=True)
class ProductRanges:
    """Resampling, calibration and saturation; chosen by eye, after genuine chips."""

    shift_px: Range = (0.0, 0.5)  # by which turning a product upright blurs it
    gain_mean: float = -0.5  # of the logarithm of the calibration
    gain_deviation: float = 0.3
    ceiling: Range = (2.2, 2.45)  # logarithm of one plus the amplitude at saturation
    knee: float = 4.0  # exponent of the soft saturation; larger is harder
    untouched: float = 64.0  # amplitudes below the ceiling over this stay as they are


RESPONSE = ResponseRanges()
SEA_CLUTTER = SeaClutterRanges()
PRODUCT = ProductRanges()


def form_image(
    intensity: FloatArray,
    corners: tuple[npt.NDArray[np.int64], FloatArray],
    geometry: SarGeometry,
    gsd_m: float,
    rng: Rng,
) -> FloatArray:
    """Apply speckle, impulse response and looks.

    Distributed echoes are complex Gaussian before the band limit of the sensor, so speckle,
    its correlation and the side-lobe crosses (along range and azimuth, whose direction in the
    chip follows from the look) come out of one filter.

    Args:
        intensity: mean power of the distributed echoes, float32 ``[H, W]``.
        corners: flat pixels of the corner reflectors, and their powers.

    Returns:
        Amplitude of the detected image, float32 ``[H, W]``.
    """
    shape = intensity.shape
    background = intensity + _sea_and_noise(shape, rng)
    pixels, power = corners
    phase = np.exp(2j * np.pi * rng.random(pixels.size, dtype=np.float32))
    points = (np.sqrt(power) * phase).astype(np.complex64)
    # Half of the power in the real part, half in the imaginary part.
    root = np.sqrt(background * np.float32(0.5))
    response = _transfer_function(shape, geometry, gsd_m, rng)
    total = np.zeros(shape, np.float32)
    for _ in range(geometry.looks):
        # Pairs of normal numbers [H, W, 2], read as complex [H, W].
        echo = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        echo *= root
        np.add.at(echo.reshape(-1), pixels, points)
        spectrum = fft.fft2(echo, overwrite_x=True)
        spectrum *= response
        image = fft.ifft2(spectrum, overwrite_x=True)
        total += image.real**2 + image.imag**2
    total /= geometry.looks
    return np.sqrt(total, out=total)


def _transfer_function(
    shape: tuple[int, ...], geometry: SarGeometry, gsd_m: float, rng: Rng
) -> npt.NDArray[np.complex64]:
    """Return the sensor's band in the chip's frequency plane, turned with the look direction.

    Its mean squared magnitude is 1, so that the mean power of the image stays.
    """
    fr: FloatArray = np.fft.fftfreq(shape[0], gsd_m).astype(np.float32)[:, None]  # [H, 1]
    fc: FloatArray = np.fft.fftfreq(shape[1], gsd_m).astype(np.float32)[None, :]  # [1, W]
    look = (np.float32(np.cos(geometry.look_azimuth)), np.float32(np.sin(geometry.look_azimuth)))
    taper = np.float32(pick(rng, RESPONSE.tapers))
    # Frequencies along range and azimuth, normalised to +-1 at the edges of the band.
    width = RESPONSE.sinc_width + RESPONSE.widening * (1.0 - taper)
    edge = np.float32(width / geometry.resolution_m / 2)
    across = ((fr * look[0] + fc * look[1]) / edge).astype(np.float32, copy=False)
    stretch = np.float32(uniform(rng, RESPONSE.azimuth_band))
    along = ((-fr * look[1] + fc * look[0]) / (edge * stretch)).astype(np.float32, copy=False)
    # The costly functions are computed in the band alone; beyond it the response is 0.
    band = np.flatnonzero((np.abs(across) <= 1.0) & (np.abs(along) <= 1.0))
    across, along = across.ravel()[band], along.ravel()[band]
    window = np.zeros(shape, np.float32)
    window.ravel()[band] = _raised_cosine(across, taper) * _raised_cosine(along, taper)
    rms = float(np.sqrt(np.mean(window**2)))
    window *= np.float32(1.0 / max(rms, RESPONSE.least_rms))
    response = window.astype(np.complex64)
    if geometry.smear >= RESPONSE.least_smear:
        phase = np.float32(np.pi * geometry.smear) * along * along
        cubic = np.float32(RESPONSE.cubic_smear * geometry.smear * rng.normal())
        phase += cubic * along**3
        response.ravel()[band] *= np.exp(1j * phase)
    return response


def _raised_cosine(f: FloatArray, taper: np.float32) -> FloatArray:
    """Return the weight at `f`, which is -1 and 1 at the edges of the band."""
    weight: FloatArray = taper + (1 - taper) * np.cos(np.pi * f)
    return weight


def _sea_and_noise(shape: tuple[int, ...], rng: Rng) -> FloatArray:
    """Draw the mean power of sea clutter with gamma texture, plus thermal noise."""
    sea = SEA_CLUTTER
    level = float(np.exp(rng.normal(np.log(sea.median_amplitude), sea.amplitude_deviation)))
    noise = uniform(rng, sea.noise_amplitude) ** 2
    order = uniform(rng, sea.order)
    coarse_shape = (shape[0] // sea.texture_px + 2, shape[1] // sea.texture_px + 2)
    coarse = rng.standard_gamma(order, coarse_shape) / order
    texture = Image.fromarray(coarse.astype(np.float32)).resize(
        (shape[1], shape[0]), Image.Resampling.BILINEAR
    )
    power: FloatArray = np.float32(level**2) * np.asarray(texture) + np.float32(noise)
    return power


def resample(amplitude: FloatArray, rng: Rng) -> FloatArray:
    """Blur by a bilinear shift of a part of a pixel, as turning a product upright does."""
    a, b = rng.uniform(*PRODUCT.shift_px, 2).astype(np.float32)
    above = np.concatenate((amplitude[-1:], amplitude[:-1]), 0)
    amplitude = amplitude + a * (above - amplitude)
    beside = np.concatenate((amplitude[:, -1:], amplitude[:, :-1]), 1)
    blurred: FloatArray = amplitude + b * (beside - amplitude)
    return blurred


def compress(amplitude: FloatArray, rng: Rng) -> FloatArray:
    """Apply calibration, soft saturation and the product's logarithmic amplitude scale."""
    scaled = amplitude * np.float32(np.exp(rng.normal(PRODUCT.gain_mean, PRODUCT.gain_deviation)))
    ceiling = np.float32(np.exp(uniform(rng, PRODUCT.ceiling)) - 1.0)
    # Below a 64th of the ceiling the fourth power is lost beside 1 in float32.
    high = np.flatnonzero(scaled > ceiling / PRODUCT.untouched)
    bright = scaled.ravel()[high]
    excess = 1.0 + (bright / ceiling) ** PRODUCT.knee
    scaled.ravel()[high] = bright / excess ** np.float32(1.0 / PRODUCT.knee)
    np.log1p(scaled, out=scaled)
    return scaled
