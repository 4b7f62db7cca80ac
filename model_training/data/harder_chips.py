"""Make chips harder than the simulator's average, so that a calibration expects such chips too.

Genuine chips resemble each other less than simulated ones do: crops are cut by others, sizes are
measured worse, and the radar, the light and the weather differ. A calibration that has seen easy
chips alone calls "none of them" too probable on genuine chips. The ranges below are those with
which chips of one simulated ship, four fifths of them made harder, are about as similar, in mean
and spread, as the SAR and optical chips of one ship of the genuine sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_training.data.hoss import LabelledChip
from service.contract.chip import Chip, Modality

CROP_ALONG, CROP_ACROSS = 0.065, 0.175
"""Standard deviation of each edge's shift, as a share of the chip's side."""
SIZE_NOISE = 0.11
"""Standard deviation of the logarithm of the GSD."""
LOOKS = (0.7, 2.7)
"""Range of the looks of added speckle."""
NOISE_FLOOR = (0.0, 0.33)
"""Range of the radar's added noise, as a share of the amplitude's 95th percentile."""
BLUR_PIXELS = (0.3, 4.0)
"""Range of the standard deviation of the blur."""
HAZE = (0.0, 0.85)
"""Range of the share of haze in an optical chip."""
TONE_SD = 0.65
"""Standard deviation of the logarithms of gain and gamma of an optical chip."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarderChip(LabelledChip):
    """A chip that is made harder after it is read, always in the same way for one seed."""

    seed: int

    def read(self) -> Chip:
        """Decode the file and make the chip harder.

        Raises:
            DatasetError: the file is not a usable chip; names the file.
        """
        chip = LabelledChip.read(self)
        return make_harder(chip, np.random.default_rng([self.seed, int(chip.digest[:8], 16)]))


def with_harder_chips(
    chips: Sequence[LabelledChip], share: float, seed: int
) -> tuple[LabelledChip, ...]:
    """Return the chips, a random `share` of which, 0 to 1, is made harder when it is read."""
    drawn = np.random.default_rng(seed).random(len(chips)) < share
    return tuple(
        HarderChip(**{f.name: getattr(chip, f.name) for f in fields(LabelledChip)}, seed=seed)
        if harder
        else chip
        for chip, harder in zip(chips, drawn, strict=True)
    )


def make_harder(chip: Chip, generator: np.random.Generator) -> Chip:
    """Return the chip with another crop, a wrong size, and noise as its sensor has it."""
    pixels = _crop_again(chip.pixels, generator)
    vary = _vary_amplitude if chip.modality is Modality.SAR else _vary_colours
    return replace(
        chip,
        pixels=vary(pixels, generator),
        gsd_m=float(chip.gsd_m * np.exp(generator.normal(0, SIZE_NOISE))),
        digest=f"{chip.digest}-harder",
    )


def _crop_again(pixels: NDArray[np.generic], generator: np.random.Generator) -> NDArray[np.generic]:
    """Move each edge inwards, or outwards over repeated edge pixels."""
    height, width = pixels.shape[:2]
    shifts = np.rint(
        generator.normal(0, [[CROP_ALONG * height] * 2, [CROP_ACROSS * width] * 2])
    ).astype(int)
    limits = np.array([[height // 4], [width // 4]])  # so that most of the ship always remains
    shifts = np.clip(shifts, -limits, limits)
    outwards, inwards = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    rest = [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, [*map(tuple, outwards), *rest], mode="edge")
    (top, bottom), (left, right) = inwards
    return padded[top : padded.shape[0] - bottom, left : padded.shape[1] - right]


def _vary_amplitude(pixels: NDArray[np.generic], generator: np.random.Generator) -> Floats:
    """Blur, speckle and a noise floor: float32 amplitude `[h, w]`."""
    amplitude = pixels.astype(np.float32)
    if generator.random() < 0.5:
        amplitude = ndimage.gaussian_filter(amplitude, generator.uniform(*BLUR_PIXELS))
    looks = generator.uniform(*LOOKS)
    intensity = generator.standard_gamma(looks, amplitude.shape) / looks
    noise = generator.uniform(*NOISE_FLOOR) * np.percentile(amplitude, 95)
    floor = noise * np.sqrt(generator.standard_exponential(amplitude.shape))
    return np.asarray(np.hypot(amplitude * np.sqrt(intensity), floor), np.float32)


def _vary_colours(pixels: NDArray[np.generic], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Blur, haze, gain and gamma: uint8 `[h, w, 3]`."""
    unit = pixels.astype(np.float32) / 255
    if generator.random() < 0.5:
        sigma = generator.uniform(*BLUR_PIXELS)
        unit = ndimage.gaussian_filter(unit, (sigma, sigma, 0))
    gain, gamma = np.exp(generator.normal(0, TONE_SD, 2))
    haze = generator.uniform(*HAZE)
    unit = np.clip(unit * gain, 0, 1) ** gamma * (1 - haze) + haze * generator.uniform(0.4, 0.9)
    return np.asarray(np.clip(unit, 0, 1) * 255 + 0.5, np.uint8)
