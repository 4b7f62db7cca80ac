"""Whether a chip is tight and upright already, and cutting it out so that it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.chip import Modality
from service.contract.framing.contrast import ContrastMap
from service.contract.framing.locate import Located, row_contrast
from service.contract.framing.rectangle import Rectangle

TIGHT_LENGTH = {Modality.SAR: 1.16, Modality.OPTICAL: 1.13}
"""Height of a tight chip over the outline's length, as in the chips that the encoder is taught
with (13 to 17 % of sea along the hull)."""
TIGHT_WIDTH = {Modality.SAR: 1.22, Modality.OPTICAL: 1.27}
"""Width of a tight chip over the outline's width."""
STRAIGHT_DEG = 1.5
"""Turn that is left alone: tight chips lie about 2 degrees off, and resampling costs detail."""
_TIGHT_ASPECT = (2.0, 12.0)
_COVERED = 0.6
"""Share of a tight chip's rows in which something stands out."""
_COVERED_BY_FAINT = 0.45
"""The same where no outline was found that could contradict."""
_SURE = 0.75
"""Confidence from which an outline may contradict that a slender chip is tight."""
_SLENDER = 2.8
_SHIP_DYNAMIC = 1.5
"""Range of log amplitude that open sea does not have: for close crops that leave hardly any sea."""
_PLAIN_SHIP_DYNAMIC = 2.2
"""The same for chips that are less slender, as sea and land are more often cut out."""
_LEAST_WIDTH = 0.3
_UPRIGHT_DEG = 8.0
_ROW_CONTRAST = 1.2
_LEAST_SIDE_PX = 8


def is_tight(shape: tuple[int, ...], found: ContrastMap, located: Located | None) -> bool:
    """Return whether a chip is one ship, tight and along the chip's long side.

    The chip must be as slender as a ship, something must stand out from the water over most of
    its length, and the outline that was found must not contradict it by its axis or by being a
    small part of an otherwise empty chip.
    """
    height, width = shape[:2]
    aspect = max(height, width) / min(height, width)
    if not _TIGHT_ASPECT[0] <= aspect <= _TIGHT_ASPECT[1]:
        return False
    upright = height >= width
    covered = float((row_contrast(found, upright) > _ROW_CONTRAST).mean())
    if located is None or located.confidence < _SURE:
        ship_like = found.dynamic > (_SHIP_DYNAMIC if aspect >= _SLENDER else _PLAIN_SHIP_DYNAMIC)
        return ship_like or covered >= _COVERED_BY_FAINT
    outline = located.outline
    if covered < _COVERED or outline.width < _LEAST_WIDTH * min(height, width):
        return False
    if outline.length < _COVERED * max(height, width):
        return True
    off = outline.axis_deg if upright else outline.axis_deg + 90.0
    return abs((off + 90.0) % 180.0 - 90.0) <= _UPRIGHT_DEG


def upright_turn(axis_deg: float) -> float:
    """Return the smallest clockwise turn that sets an axis upright, -90 to 90 degrees."""
    return -((axis_deg + 90.0) % 180.0 - 90.0)


def quarter_turn(pixels: NDArray[Any]) -> NDArray[Any]:
    """Turn a lying chip upright without resampling, the way `preprocess` does."""
    return np.ascontiguousarray(np.rot90(pixels))


def cut_out(
    pixels: NDArray[Any], outline: Rectangle, modality: Modality
) -> tuple[NDArray[Any], float, bool]:
    """Cut the ship out upright, with the usual margin of sea.

    The radiometry stays: float32 amplitude is interpolated linearly as it is, uint8 is rounded.

    Returns:
        The chip, the clockwise turn in degrees, and whether it was resampled.
    """
    rows = max(round(outline.length * TIGHT_LENGTH[modality]), _LEAST_SIDE_PX)
    columns = max(round(outline.width * TIGHT_WIDTH[modality]), _LEAST_SIDE_PX)
    turn = upright_turn(outline.axis_deg)
    top, left = round(outline.row - (rows - 1) / 2), round(outline.column - (columns - 1) / 2)
    if abs(turn) <= STRAIGHT_DEG:
        top, left = max(top, 0), max(left, 0)
        part = pixels[top : top + rows, left : left + columns]
        if min(part.shape[:2]) >= _LEAST_SIDE_PX:
            return np.ascontiguousarray(part), 0.0, False
    angle = np.radians(-turn)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return _turned(pixels, matrix, (outline.row, outline.column), (rows, columns)), turn, True


def _turned(
    pixels: NDArray[Any],
    matrix: NDArray[np.float64],
    centre: tuple[float, float],
    shape: tuple[int, int],
) -> NDArray[Any]:
    """Resample once, linearly; beyond the chip's border the nearest pixels are mirrored.

    Args:
        pixels: `[H, W]` or `[H, W, 3]`.
        matrix: turns a place in the result into a place in `pixels`, both from their centres.
        centre: row and column in `pixels` of the result's middle.
        shape: rows and columns of the result.
    """
    # Only what the result can reach is read: scipy copies its input per band.
    reach = int(np.hypot(*shape) / 2) + 3
    top, left = max(int(centre[0]) - reach, 0), max(int(centre[1]) - reach, 0)
    near = pixels[top : int(centre[0]) + reach + 2, left : int(centre[1]) + reach + 2]
    middle = (np.array(shape) - 1) / 2
    offset = np.array([centre[0] - top, centre[1] - left]) - matrix @ middle

    def resample(plane: NDArray[Any]) -> NDArray[np.float32]:
        values = plane.astype(np.float32)
        turned = ndimage.affine_transform(values, matrix, offset, shape, order=1, mode="reflect")
        return np.asarray(turned, np.float32)

    if near.ndim == 2:
        return np.asarray(resample(near), pixels.dtype)
    planes = np.stack([resample(near[..., band]) for band in range(near.shape[2])], axis=-1)
    return np.asarray(np.clip(np.rint(planes), 0, 255), pixels.dtype)
