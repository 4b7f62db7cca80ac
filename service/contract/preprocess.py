"""Turn a chip into the encoder's input: denoise, turn upright, resize, normalise, measure.

Training, evaluation and serving share this code; every constant comes from the manifest's
`PreprocessSpec`. With the default spec it is the published MOS / TransOSS pipeline bit for bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec, SizeTokenSpec

Picture = NDArray[np.uint8]

SHIFT = 0.025
"""By which share of its length `prepare_views` shifts a chip: about as much as framing errs at an
end of the hull. `docs/chips.md` says what two views gain."""


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """The encoder's input for one chip.

    Attributes:
        pixels: float32 `[3, H, W]`, normalised.
        modality: the sensor that the encoder assumes.
        size_token: float32 `[3]`, see `size_token`.
    """

    pixels: NDArray[np.float32]
    modality: Modality
    size_token: NDArray[np.float32]


def denoise_sar(amplitude: NDArray[np.float32], percentile: float | None = 5.0) -> Picture:
    """Suppress speckle and sea clutter, which sit in the low values (MOS, SAR denoise).

    `(x - p) / (max - p + 1e-8) * 255`, clipped to 0..255 and truncated.

    Args:
        amplitude: float32 `[H, W]`, finite.
        percentile: the percentile of the chip that becomes 0 (MOS); None only divides by the
            maximum, `x / max * 255` (TransOSS).

    Returns:
        uint8 `[H, W]`.
    """
    low = np.float32(0) if percentile is None else np.percentile(amplitude, percentile)
    scaled = (amplitude - low) / (amplitude.max() - low + 1e-8) * 255
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)


def to_picture(chip: Chip, spec: PreprocessSpec) -> Picture:
    """Return the chip as a picture before resizing: uint8 `[H, W, 3]`, H >= W.

    SAR is denoised and repeated to three channels. A chip that is wider than tall is turned by 90
    degrees, because the models expect the ship's long axis upright; the bow may point up or down.
    """
    picture = _upright(chip, spec)
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


def _upright(chip: Chip, spec: PreprocessSpec) -> Picture:
    """Return `to_picture` with one channel for SAR: uint8 `[H, W]`, optical `[H, W, 3]`."""
    if chip.modality is Modality.SAR:
        picture = denoise_sar(chip.pixels.astype(np.float32, copy=False), spec.denoise_percentile)
    else:
        picture = chip.pixels.astype(np.uint8, copy=False)
    height, width = picture.shape[:2]
    return picture if height >= width else np.ascontiguousarray(np.rot90(picture))


def picture_to_pixels(
    picture: Picture, modality: Modality, spec: PreprocessSpec
) -> NDArray[np.float32]:
    """Resize (Pillow bilinear with antialias, on uint8) and normalise; return float32 `[3, H, W]`.

    Args:
        picture: uint8 `[h, w, 3]` of any size; or `[h, w]`, whose three channels are the same.
        modality: decides whether the SAR exponent applies.
    """
    resized = Image.fromarray(picture).resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return normalise(np.atleast_3d(np.asarray(resized)), modality, spec)


def normalise(resized: Picture, modality: Modality, spec: PreprocessSpec) -> NDArray[np.float32]:
    """Normalise a picture of the encoder's size: uint8 `[H, W, 3 or 1]` to float32 `[3, H, W]`."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    if modality is Modality.SAR and spec.sar_exponent != 1.0:
        levels = levels ** np.float32(spec.sar_exponent)
    if spec.normalisation == "per_chip":
        # Of levels rather than pixels: less work, and grey is exactly as three equal channels.
        shares = np.bincount(resized.ravel(), minlength=256) / resized.size
        levels = levels - shares @ levels
        levels = levels / (np.sqrt(shares @ levels**2) + 1e-3)
        unit = levels.astype(np.float32)[resized]
    else:
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        unit = (levels[resized] - mean) / std
    planes = unit.transpose(2, 0, 1)  # [3 or 1, H, W]
    return np.ascontiguousarray(np.broadcast_to(planes, (3, *planes.shape[1:])))


def size_token(length_m: float, width_m: float, spec: SizeTokenSpec) -> NDArray[np.float32]:
    """Return the ship's size as the encoder's input (TransOSS, SSE).

    `((w/93 - 0.434)/0.031, (h/427 - 0.461)/0.031, h/w)` with the published constants.

    Args:
        length_m: the chip's long side in metres, positive.
        width_m: the chip's short side in metres, positive.

    Returns:
        float32 `[3]`: width, length, aspect.
    """
    return np.array(
        [
            (width_m / spec.width_scale_m - spec.width_mean) / spec.width_std,
            (length_m / spec.length_scale_m - spec.length_mean) / spec.length_std,
            length_m / width_m,
        ],
        dtype=np.float32,
    )


def prepare(chip: Chip, spec: PreprocessSpec) -> EncoderInput:
    """Turn a decoded chip into the encoder's input."""
    return _input(_upright(chip, spec), chip, spec)


def prepare_views(chip: Chip, spec: PreprocessSpec) -> list[EncoderInput]:
    """Return the encoder's inputs whose mean embedding, at unit length, is that of the chip.

    A chip that framing has cut out, whose ends are uncertain by some per cent, is shifted along the
    hull by `SHIFT` of its length, once each way; any other chip is one input.
    """
    picture = _upright(chip, spec)
    pictures = shifted_along(picture, SHIFT) if chip.cut_out else (picture,)
    return [_input(one, chip, spec) for one in pictures]


def shifted_along(picture: Picture, share: float) -> tuple[Picture, Picture]:
    """Shift an upright picture `[H, W, …]` up and down by a share of its height.

    The rows that enter are those at the border, mirrored.
    """
    rows = round(share * picture.shape[0])
    padded = np.pad(picture, [(rows, rows), *[(0, 0)] * (picture.ndim - 1)], mode="symmetric")
    height = picture.shape[0]
    return padded[2 * rows :], padded[:height]


def _input(picture: Picture, chip: Chip, spec: PreprocessSpec) -> EncoderInput:
    return EncoderInput(
        pixels=picture_to_pixels(picture, chip.modality, spec),
        modality=chip.modality,
        size_token=size_token(chip.length_m, chip.width_m, spec.size_token),
    )
