"""Chips drawn at one metre scale, as inline SVG."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE_PX = 700
ROW_WIDTH_MM, ROW_HEIGHT_MM = 160.0, 42.0
GAP_MM = 6.0
RULER_WIDTH_MM = 14.0
RULER_SHARE = 0.6
"""The ruler is at most this long, as a share of the tallest chip."""


@dataclass(frozen=True, slots=True)
class ChipFigure:
    """A chip and its caption.

    Attributes:
        picture: uint8 `[H, W, 3]`; None when the chip is no longer stored.
    """

    caption: str
    picture: NDArray[np.uint8] | None
    gsd_m: float

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the chip in metres; zero without a picture."""
        if self.picture is None:
            return 0.0, 0.0
        height, width = self.picture.shape[:2]
        return width * self.gsd_m, height * self.gsd_m


def chip_row(figures: Sequence[ChipFigure]) -> str:
    """Return all chips side by side at one scale, with a ruler, as HTML."""
    scale = mm_per_metre(figures)
    if scale is None:
        return f'<div class="chips">{"".join(_missing(one) for one in figures)}</div>'
    drawn = "".join(_figure(one, scale) for one in figures)
    return f'<div class="chips">{_ruler(figures, scale)}{drawn}</div>'


def mm_per_metre(figures: Sequence[ChipFigure]) -> float | None:
    """Return the largest scale at which all chips fit into a row; None without a picture."""
    sizes = [one.size_m for one in figures if one.picture is not None]
    if not sizes:
        return None
    width_mm = ROW_WIDTH_MM - GAP_MM * len(figures)
    widths, heights = zip(*sizes, strict=True)
    return float(min(width_mm / sum(widths), ROW_HEIGHT_MM / max(heights)))


def ruler_length_m(longest_m: float) -> float:
    """Return the longest of 1, 2, 5, 10, 20, 50 … metres that `longest_m` holds."""
    exponent = np.floor(np.log10(longest_m))
    steps = [step * 10.0**power for power in (exponent - 1, exponent) for step in (1, 2, 5)]
    return float(max(step for step in steps if step <= longest_m))


def _figure(figure: ChipFigure, scale: float) -> str:
    if figure.picture is None:
        return _missing(figure)
    width_m, height_m = figure.size_m
    return (
        f"<figure>{_svg(width_m, height_m, scale)}"
        f'<image width="{width_m:.3f}" height="{height_m:.3f}" preserveAspectRatio="none" '
        f'href="{_data_uri(figure.picture)}"/></svg>'
        f"<figcaption>{escape(figure.caption)}<br>{height_m:.0f} m &#215; {width_m:.0f} m"
        "</figcaption></figure>"
    )


def _missing(figure: ChipFigure) -> str:
    return (
        '<figure><p class="missing">This chip is no longer stored.</p>'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )


def _ruler(figures: Sequence[ChipFigure], scale: float) -> str:
    length_m = ruler_length_m(RULER_SHARE * max(one.size_m[1] for one in figures))
    width_m = RULER_WIDTH_MM / scale
    stroke, text = 0.4 / scale, 3.2 / scale
    return (
        f"<figure>{_svg(width_m, length_m + 2 * stroke, scale)}"
        f'<path d="M{3 * stroke:.3f} {stroke:.3f}h{-2 * stroke:.3f}v{length_m:.3f}'
        f'h{2 * stroke:.3f}" fill="none" stroke="#000" stroke-width="{stroke:.3f}"/>'
        f'<text x="{5 * stroke:.3f}" y="{length_m / 2:.3f}" font-size="{text:.3f}" '
        f'dominant-baseline="middle">{length_m:g} m</text></svg></figure>'
    )


def _svg(width_m: float, height_m: float, scale: float) -> str:
    return (
        f'<svg role="img" width="{width_m * scale:.2f}mm" height="{height_m * scale:.2f}mm" '
        f'viewBox="0 0 {width_m:.3f} {height_m:.3f}">'
    )


def _data_uri(picture: NDArray[np.uint8]) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
