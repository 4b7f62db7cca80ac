"""Decide whether a chip is tight and upright, and cut out the ship of one that is not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import Modality
from service.contract.framing.contrast import ContrastMap
from service.contract.framing.locate import Located, row_contrast
from service.contract.framing.rectangle import Rectangle

TIGHT_LENGTH = {Modality.SAR: 1.16, Modality.OPTICAL: 1.15}
"""Height of a tight chip over the outline's length, as in the chips that the encoder is taught
with (13 to 17 % of sea along the hull)."""
TIGHT_WIDTH = {Modality.SAR: 1.22, Modality.OPTICAL: 1.33}
"""Width of a tight chip over the outline's width."""
STRAIGHT_DEG = 1.5
"""Turn that is left alone: tight chips lie about 2 degrees off, and resampling costs detail."""
QUARTER_TURN_DEG = -90.0
"""The clockwise turn that `quarter_turn` makes: the right side of the chip becomes its top."""
_TIGHT_ASPECT = (2.0, 12.0)
_COVERED = 0.6
"""Share of a tight chip's rows in which something stands out."""
_COVERED_BY_FAINT = 0.45
"""The same where no outline was found that could contradict."""
_SURE = 0.75
"""Confidence from which an outline may contradict that a slender chip is tight."""
_SHIP_DYNAMIC = 1.5
"""Range of log amplitude that open sea does not have: for close crops that leave hardly any sea."""
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
        return found.dynamic > _SHIP_DYNAMIC or covered >= _COVERED_BY_FAINT
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
    """
    reach = np.abs(matrix) @ (np.array(shape) / 2) + 2  # rows and columns that are read
    low, high = np.array(centre) - reach, np.array(centre) + reach
    first, last = np.floor(low).astype(int), np.ceil(high).astype(int) + 1
    top, left = np.maximum(first, 0)
    bottom, right = np.minimum(last, pixels.shape[:2])
    near = pixels[top:bottom, left:right]
    missing = [(top - first[0], last[0] - bottom), (left - first[1], last[1] - right)]
    if np.any(missing):
        near = np.pad(near, [*missing, *[(0, 0)] * (near.ndim - 2)], mode="symmetric")
    # Pillow wants x before y, and places at the corners of pixels rather than in their middles.
    into = matrix[::-1, ::-1]
    place = np.array([centre[1] - first[1], centre[0] - first[0]]) + 0.5
    offset = place - into @ (np.array(shape)[::-1] / 2)
    picture = Image.fromarray(np.ascontiguousarray(near)).transform(
        shape[::-1],
        Image.Transform.AFFINE,
        (*into[0], offset[0], *into[1], offset[1]),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(picture, pixels.dtype)
