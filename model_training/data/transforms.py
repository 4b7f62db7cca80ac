"""Augment chips: vary a ship as another pass, another sensor or another crop would.

The order is geometry (crop, half turn, mirror), the resize (by default the serving code's),
appearance of the resized picture, and the serving code's normalisation.

Ranges and chances that are written out in `_vary_optical`, `_vary_sar`, `_blur`, `_smear` and
`_erase` were chosen by eye at strength 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from scipy import ndimage

from model_training.data.released_transforms import erase_with_noise, pad_and_crop
from model_training.training.config import TypedConfig
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import Picture, normalise, size_token

FloatPicture = NDArray[np.float32]
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class GeometryConfig(TypedConfig):
    """Strengths of crop, tilt, size noise, mirror and turns.

    `crop_along` and `crop_across` are standard deviations of each edge's shift, as shares of the
    chip; `tilt` is that of the sideways distance of bow and stern, as a share of the width;
    `size_noise` is that of the logarithm of the measured size. `mirror` and `half_turn` are chances
    per ship; `turn_apart` is the chance per chip that the bow points the other way than in the
    ship's other chips. A mirrored ship is another ship, so both sensors are mirrored together.
    `pad` moves the resized picture by up to so many pixels each way, drawn evenly, over black; the
    size token does not follow.
    """

    crop_along: float = Field(0.02, ge=0, le=0.2)
    crop_across: float = Field(0.04, ge=0, le=0.3)
    tilt: float = Field(0.15, ge=0, le=1)
    size_noise: float = Field(0.03, ge=0, le=0.5)
    mirror: float = Field(0.5, ge=0, le=1)
    half_turn: float = Field(0.5, ge=0, le=1)
    turn_apart: float = Field(0.1, ge=0, le=1)
    pad: int = Field(0, ge=0, le=64)


class AppearanceConfig(TypedConfig):
    """Strengths of the variation of pixel values, 1 as designed, 0 off; `erase` is a chance.

    What is erased is a grey bar across the ship, or, `erase_with: noise`, a rectangle of 2 to 33 %
    of the picture full of noise, as in the released TransOSS and MOS.
    """

    optical: float = Field(1.0, ge=0, le=3)
    sar: float = Field(1.0, ge=0, le=3)
    erase: float = Field(0.3, ge=0, le=1)
    erase_with: Literal["grey", "noise"] = "grey"


class AugmentConfig(TypedConfig):
    """Strengths of both parts of the augmentation, and the resize filter.

    Serving resizes bilinearly; the released TransOSS and MOS train on bicubic chips.
    """

    geometry: GeometryConfig = GeometryConfig()
    appearance: AppearanceConfig = AppearanceConfig()
    resize: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True, slots=True)
class Pose:
    """The mirror and half turn that all chips of one ship in a batch share."""

    mirrored: bool = False
    turned: bool = False

    @classmethod
    def draw(cls, generator: np.random.Generator, config: GeometryConfig) -> "Pose":
        """Draw a pose with the configured chances."""
        mirrored, turned = generator.random(2) < (config.mirror, config.half_turn)
        return cls(bool(mirrored), bool(turned))


@dataclass(frozen=True, slots=True)
class Sample:
    """The encoder's input for one chip.

    Attributes:
        pixels: float32 `[3, H, W]`.
        size: float32 `[3]`, the size token.
        turned: whether the picture was turned by 180 degrees.
    """

    pixels: FloatPicture
    size: NDArray[np.float32]
    turned: bool
    mirrored: bool


def plain_sample(
    picture: Picture, modality: Modality, gsd_m: float, spec: PreprocessSpec
) -> Sample:
    """Prepare a chip as serving does, without augmentation."""
    pixels = normalise(_resize(picture, None, spec), modality, spec)
    height, width = picture.shape[:2]
    return Sample(pixels, size_token(height * gsd_m, width * gsd_m, spec.size_token), False, False)


def augmented_sample(
    picture: Picture,
    modality: Modality,
    gsd_m: float,
    spec: PreprocessSpec,
    config: AugmentConfig,
    pose: Pose,
    generator: np.random.Generator,
) -> Sample:
    """Draw a random variant of a chip.

    Args:
        picture: uint8 `[h, w, 3]`, upright, as `service.contract.preprocess.to_picture` returns it.
        pose: shared by the ship's chips of this batch.
    """
    geometry = config.geometry
    turned = pose.turned != bool(generator.random() < geometry.turn_apart)
    if turned:
        picture = picture[::-1, ::-1]
    if pose.mirrored:
        picture = picture[:, ::-1]
    # half of the ships are tilted, with twice the variance, so that `tilt` is the overall deviation
    if geometry.tilt and generator.random() < 0.5:
        picture = _tilt(picture, generator.normal(0, geometry.tilt * np.sqrt(2)))
    height, width = picture.shape[:2]
    top, bottom = generator.normal(0, geometry.crop_along, 2) * height
    left, right = generator.normal(0, geometry.crop_across, 2) * width
    box = (left, top, max(width - right, left + 2), max(height - bottom, top + 2))
    resized = _resize(picture, box, spec, _FILTERS[config.resize])
    if geometry.pad:
        resized = pad_and_crop(resized, geometry.pad, generator)
    if modality is Modality.SAR:
        unit = _vary_sar(resized, generator, config.appearance.sar)
    else:
        unit = _vary_optical(resized, generator, config.appearance.optical)
    erased = generator.random() < config.appearance.erase
    if erased and config.appearance.erase_with == "grey":
        unit = _erase(unit, generator)
    final = np.asarray(np.clip(unit, 0, 1) * 255 + 0.5, np.uint8)
    length_noise, width_noise = np.exp(generator.normal(0, geometry.size_noise, 2))
    size = size_token(
        float((box[3] - box[1]) * gsd_m * length_noise),
        float((box[2] - box[0]) * gsd_m * width_noise),
        spec.size_token,
    )
    pixels = normalise(final, modality, spec)
    if erased and config.appearance.erase_with == "noise":
        pixels = erase_with_noise(pixels, generator)
    return Sample(pixels, size, turned, pose.mirrored)


def _resize(
    picture: Picture,
    box: tuple[float, float, float, float] | None,
    spec: PreprocessSpec,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> Picture:
    """Resize a box of a picture as serving does; outside the picture its edges are repeated."""
    if box is not None:
        height, width = picture.shape[:2]
        margins = (-box[0], -box[1], box[2] - width, box[3] - height)
        left, top, right, bottom = (max(0, int(np.ceil(margin))) for margin in margins)
        if left or top or right or bottom:
            picture = np.pad(picture, ((top, bottom), (left, right), (0, 0)), mode="edge")
            box = (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
    image = Image.fromarray(np.ascontiguousarray(picture))
    resized = image.resize((spec.width, spec.height), resampling, box=box)
    return np.asarray(resized)


def _tilt(picture: Picture, share: float) -> Picture:
    """Shear sideways, so that the top is shifted by `share` of the width against the bottom.

    For a long ship, a turn by a few degrees equals a shear up to a tiny change of length.
    """
    height, width = picture.shape[:2]
    slope = share * width / height
    shear = (1.0, slope, -slope * height / 2, 0.0, 1.0, 0.0)
    image = Image.fromarray(np.ascontiguousarray(picture))
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, shear, bilinear))


def _tone(
    channel: NDArray[np.uint8], generator: np.random.Generator, gain_sd: float, gamma_sd: float
) -> FloatPicture:
    """Apply random gain and gamma by table: uint8 -> float32 in 0..1, of the same shape."""
    gain, gamma = np.exp(generator.normal(0, (gain_sd, gamma_sd)))
    table = np.clip(np.arange(256) / 255 * gain, 0, 1) ** gamma
    return np.asarray(table.astype(np.float32)[channel])


def _vary_optical(
    resized: Picture, generator: np.random.Generator, strength: float
) -> FloatPicture:
    """Vary exposure, colour cast, saturation, haze, blur, noise: uint8 -> float32, about 0..1."""
    if not strength:
        return resized.astype(np.float32) / np.float32(255)
    unit = _tone(resized, generator, 0.2 * strength, 0.3 * strength)
    cast = np.diag(np.exp(generator.normal(0, 0.15 * strength, 3)))
    saturation = np.clip(generator.normal(0.9, 0.35 * strength), 0, 1.6)
    mixing = cast @ (saturation * np.eye(3) + (1 - saturation) / 3)
    unit = unit @ mixing.astype(np.float32)  # [H, W, 3] @ [3, 3]
    if generator.random() < 0.3:
        haze = np.float32(generator.uniform(0, 0.6) * min(strength, 1.5))
        unit = unit * (1 - haze) + haze * np.float32(generator.uniform(0.4, 0.9))
    unit = _blur(unit, generator, strength)
    if generator.random() < 0.5:
        noise = generator.standard_normal(unit.shape, np.float32)
        unit = unit + noise * np.float32(abs(generator.normal(0, 0.04 * strength)))
    return unit


def _vary_sar(resized: Picture, generator: np.random.Generator, strength: float) -> FloatPicture:
    """Vary gain, compression, speckle, smear, blur, noise floor: uint8 -> float32, about 0..1."""
    if not strength:
        return resized.astype(np.float32) / np.float32(255)
    grey = _tone(resized[:, :, 0], generator, 0.3 * strength, 0.3 * strength)
    if generator.random() < 0.4:
        looks = np.float32(generator.uniform(2, 12))
        speckle = generator.standard_gamma(looks, grey.shape, np.float32) / looks
        grey = grey * np.sqrt(speckle)
    if generator.random() < 0.25 * strength:
        grey = _smear(grey, generator)
    grey = _blur(grey[:, :, None], generator, strength)[:, :, 0]
    floor = np.float32(generator.uniform(0, 0.15) * min(strength, 2.0))
    grey = (grey - floor) / (1 - floor)
    return np.repeat(grey[:, :, None], 3, axis=2)  # [H, W] -> [H, W, 3]


def _blur(unit: FloatPicture, generator: np.random.Generator, strength: float) -> FloatPicture:
    if generator.random() < 0.4:
        sigma = generator.uniform(0.3, 0.6 + 0.6 * strength)
        return np.asarray(ndimage.gaussian_filter(unit, (sigma, sigma * 0.7, 0), truncate=2.5))
    return unit


def _smear(grey: FloatPicture, generator: np.random.Generator) -> FloatPicture:
    """Blur along a slanted line, like a ship that moves during the synthetic aperture."""
    length = int(generator.integers(3, 9))
    slope = generator.uniform(-0.5, 0.5)
    smeared = np.zeros_like(grey)
    for step in range(length):
        shift = (step - length // 2, round((step - length // 2) * slope))
        smeared += np.roll(grey, shift, axis=(0, 1))
    weight = np.float32(generator.uniform(0.3, 1.0))
    return (1 - weight) * grey + weight * smeared / np.float32(length)


def _erase(unit: FloatPicture, generator: np.random.Generator) -> FloatPicture:
    """Fill a rectangle with one grey, like a cloud, a crane, a tug or a dropout."""
    height, width = unit.shape[:2]
    tall = int(generator.uniform(0.04, 0.2) * height)
    wide = int(generator.uniform(0.3, 1.0) * width)
    top = int(generator.integers(0, height - tall + 1))
    left = int(generator.integers(0, width - wide + 1))
    erased = unit.copy()
    erased[top : top + tall, left : left + wide] = np.float32(generator.uniform(0, 0.8))
    return erased
