"""Any crop -> the ship upright and tight, with its outline and the chip's quality."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.contrast import ContrastMap
from service.contract.framing.crop import cut_out, is_tight, quarter_turn, upright_turn
from service.contract.framing.findings import Finding
from service.contract.framing.locate import Located, locate_ship
from service.contract.framing.quality import judge, judge_empty
from service.contract.framing.records import FramedPixels, Framing, FramingMode, Method
from service.contract.framing.rectangle import Rectangle

_RELATIVE_ERROR = 0.03
"""Standard error of length over length, measured on simulated scenes."""
_TIGHT_MARGIN = 1.16
_LEAST_CONFIDENCE = {Modality.SAR: 0.28, Modality.OPTICAL: 0.4}
"""Below it what was found is no ship."""


def frame_chip(pixels: NDArray[Any], modality: Modality, gsd_m: float) -> FramedPixels:
    """Find the ship in a decoded chip, measure it, and cut it out upright and tight.

    A chip that is tight and upright already passes unchanged, bit for bit.

    Args:
        pixels: SAR amplitude float32 `[H, W]` (NaN counts as no measurement) or RGB uint8
            `[H, W, 3]`, as `Chip.pixels`.
        modality: the sensor.
        gsd_m: metres per pixel.

    Raises:
        ValueError: `pixels` has not the shape of its modality.
    """
    if pixels.ndim != (2 if modality is Modality.SAR else 3) or min(pixels.shape[:2]) < 1:
        raise ValueError(
            f"{modality.value} pixels have the shape {pixels.shape}; expected [H, W] for SAR and "
            f"[H, W, 3] for optical"
        )
    located, whole = locate_ship(pixels, modality)
    if is_tight(pixels.shape, whole, located):
        return _keep(pixels, modality, gsd_m, whole, located)
    if located is None or located.confidence < _LEAST_CONFIDENCE[modality]:
        framing = Framing(mode=FramingMode.AUTO, method="none", findings=judge_empty())
        return FramedPixels(pixels, framing)
    return _cut(pixels, modality, gsd_m, located)


def _cut(pixels: NDArray[Any], modality: Modality, gsd_m: float, located: Located) -> FramedPixels:
    """Frame a loose chip."""
    framed, turn, resampled = cut_out(pixels, located.outline, modality)
    findings = judge(pixels, modality, gsd_m, located, located.outline, tight=False)
    return _framed(
        framed,
        "rotated" if resampled else "cropped",
        turn,
        located.outline,
        gsd_m,
        located.found.factor,
        1.0 - min(framed.shape[0] * framed.shape[1] / (pixels.shape[0] * pixels.shape[1]), 1.0),
        findings,
    )


def _keep(
    pixels: NDArray[Any],
    modality: Modality,
    gsd_m: float,
    whole: ContrastMap,
    located: Located | None,
) -> FramedPixels:
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
    findings = judge(pixels, modality, gsd_m, located, outline, tight=True)
    return _framed(
        quarter_turn(pixels) if lies else pixels,
        "quarter_turn" if lies else "unchanged",
        upright_turn(90.0) if lies else 0.0,
        outline,
        gsd_m,
        whole.factor,
        0.0,
        findings,
    )


def _framed(
    pixels: NDArray[Any],
    method: Method,
    turn: float,
    outline: Rectangle,
    gsd_m: float,
    factor: int,
    removed: float,
    findings: tuple[Finding, ...],
) -> FramedPixels:
    """Put the record together, in metres."""
    length_m, width_m = outline.length * gsd_m, outline.width * gsd_m
    pixel_m = factor * gsd_m
    framing = Framing(
        mode=FramingMode.AUTO,
        method=method,
        outline=outline,
        turned_deg=turn,
        length_m=length_m,
        width_m=width_m,
        length_error_m=float(np.hypot(_RELATIVE_ERROR * length_m, pixel_m)),
        width_error_m=float(np.hypot(3 * _RELATIVE_ERROR * width_m, pixel_m)),
        removed_share=removed,
        findings=findings,
    )
    return FramedPixels(pixels, framing)
