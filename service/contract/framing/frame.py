"""Frame a chip: find its ship, turn it upright, cut it out, and judge the quality."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.contrast import ContrastMap
from service.contract.framing.crop import QUARTER_TURN_DEG, cut_out, is_tight, quarter_turn
from service.contract.framing.locate import Located, locate_ship
from service.contract.framing.quality import judge, judge_empty
from service.contract.framing.records import FramedPixels, Framing, FramingMode, Method
from service.contract.framing.rectangle import Rectangle

_RELATIVE_ERROR = {Modality.SAR: (0.04, 0.3), Modality.OPTICAL: (0.03, 0.09)}
"""Standard errors of length over length and of width over width, measured on simulated scenes: the
sides of a radar hull are laid over beside it."""
_TIGHT_MARGIN = 1.16
_LEAST_CONFIDENCE = {Modality.SAR: 0.28, Modality.OPTICAL: 0.4}
"""Below it what was found is no ship."""


def frame_chip(pixels: NDArray[Any], modality: Modality, gsd_m: float) -> FramedPixels:
    """Find the ship in a decoded chip, measure it, and cut it out upright and tight.

    A chip that is tight and upright already passes unchanged, bit for bit.

    Args:
        pixels: SAR amplitude float32 `[H, W]` (NaN counts as no measurement) or RGB uint8
            `[H, W, 3]`, as `Chip.pixels`.

    Raises:
        ValueError: `pixels` has not the shape of its modality.
    """
    if pixels.ndim != (2 if modality is Modality.SAR else 3) or min(pixels.shape[:2]) < 1:
        raise ValueError(
            f"{modality.value} pixels have the shape {pixels.shape}; expected [H, W] for SAR and "
            f"[H, W, 3] for optical"
        )
    located, whole = locate_ship(pixels, modality)
    tight = is_tight(pixels.shape, whole, located)
    if tight:
        cut = _keep(pixels, whole)
    elif located is None or located.confidence < _LEAST_CONFIDENCE[modality]:
        framing = Framing(mode=FramingMode.AUTO, method="none", findings=judge_empty())
        return FramedPixels(pixels, framing)
    else:
        cut = _cut(pixels, modality, located)
    length_m, width_m = cut.outline.length * gsd_m, cut.outline.width * gsd_m
    pixel_m = cut.factor * gsd_m
    length_error, width_error = _RELATIVE_ERROR[modality]
    kept = cut.pixels.shape[0] * cut.pixels.shape[1] / (pixels.shape[0] * pixels.shape[1])
    framing = Framing(
        mode=FramingMode.AUTO,
        method=cut.method,
        outline=cut.outline,
        turned_deg=cut.turned_deg,
        length_m=length_m,
        width_m=width_m,
        length_error_m=float(np.hypot(length_error * length_m, pixel_m)),
        width_error_m=float(np.hypot(width_error * width_m, pixel_m)),
        removed_share=1.0 - min(kept, 1.0),
        findings=judge(pixels, modality, gsd_m, located, cut.outline, tight=tight),
    )
    return FramedPixels(cut.pixels, framing)


@dataclass(frozen=True, slots=True)
class _Cut:
    """The pixels that the models see, and where the ship is in the chip.

    Attributes:
        pixels: upright and tight.
        outline: the rectangle around the hull in pixels of the chip.
        factor: pixels of the chip per pixel of the map in which the outline was measured.
    """

    pixels: NDArray[Any]
    method: Method
    turned_deg: float
    outline: Rectangle
    factor: int


def _cut(pixels: NDArray[Any], modality: Modality, located: Located) -> _Cut:
    """Cut the ship out of a loose chip."""
    framed, turn, resampled = cut_out(pixels, located.outline, modality)
    method: Method = "rotated" if resampled else "cropped"
    return _Cut(framed, method, turn, located.outline, located.found.factor)


def _keep(pixels: NDArray[Any], whole: ContrastMap) -> _Cut:
    """Pass a tight chip as it is, or turned by 90 degrees when it lies.

    Its outline is the chip less the usual margin: on so little sea the crop, which a person made,
    is the better measure of the ship.
    """
    height, width = pixels.shape[:2]
    lies = width > height
    outline = Rectangle(
        (height - 1) / 2,
        (width - 1) / 2,
        max(height, width) / _TIGHT_MARGIN,
        min(height, width) / 1.25,
        90.0 if lies else 0.0,
    )
    if lies:
        return _Cut(quarter_turn(pixels), "quarter_turn", QUARTER_TURN_DEG, outline, whole.factor)
    return _Cut(pixels, "unchanged", 0.0, outline, whole.factor)
