"""Find the ship in a chip: on a coarse map first, then finer around it in a large chip."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.contract.framing.candidates import Candidate, find_candidates
from service.contract.framing.contrast import ContrastMap, contrast_map, reduction_factor
from service.contract.framing.outline import fit_outline
from service.contract.framing.rectangle import Rectangle

_FINE_ENOUGH_PX = 50
"""Pixels along the hull in the reduced picture below which the surroundings are looked at again."""
_SURROUNDINGS = 1.1
"""Half side of the finer window over the ship's length."""
_LEAST_LIKENESS = 0.04
_STRONG = ((4.0, 12.5), (0.25, 1.0))
"""Median contrasts of an optical region, and the confidences that they give."""
_STRONG_SAR = ((3.0, 6.0), (0.2, 1.0))
"""Median contrasts of a radar region, and the confidences that they give."""
_BLUR_PX = {True: 0.0, False: 0.85}
"""How far a hull stands out beyond its sides in a map, by whether it is speckled. Averaging over
3 x 3 pixels spreads an optical hull, which stands out long before half of its contrast is reached:
by the same on simulated hulls of 8 and of 25 pixels of width. A radar hull ends at a share of its
brightness, so that this does not show."""
_QUIET = 3.5
"""Contrast below which a pixel is water."""


@dataclass(frozen=True, slots=True)
class Located:
    """The ship as found on a reduced picture of the chip or of a window of it.

    Attributes:
        candidates: all regions, best first; the first is the ship.
        map_outline: the rectangle around what stands out, in pixels of the map.
        outline: the ship's outline in pixels of the chip: the same without the map's blur.
        crowd: regions of the whole chip where `found` is of a window, else `candidates`.
        confidence: that this is a ship on water, 0..1.
        crowding: share of the hull's surroundings that is no water, 0..1.
        origin: row and column in the chip at which the map begins.
    """

    found: ContrastMap
    candidates: list[Candidate]
    map_outline: Rectangle
    outline: Rectangle
    crowd: list[Candidate]
    confidence: float
    crowding: float
    origin: tuple[int, int]

    @property
    def ship(self) -> Candidate:
        """The region that is taken for the ship."""
        return self.candidates[0]


def locate_ship(pixels: NDArray[Any], modality: Modality) -> tuple[Located | None, ContrastMap]:
    """Find the ship nearest the middle of a chip.

    Args:
        pixels: float32 `[H, W]` amplitude or uint8 `[H, W, 3]`.

    Returns:
        The ship, or None; and the contrast of the whole chip.
    """
    whole = contrast_map(pixels, modality, reduction_factor(pixels.shape))
    located = _locate(whole, None, (0, 0))
    if located is None or whole.factor == 1:
        return located, whole
    length = located.map_outline.length
    if length >= _FINE_ENOUGH_PX or length * whole.factor < 8:
        return located, whole
    return _look_closer(pixels, modality, located) or located, whole


def _look_closer(pixels: NDArray[Any], modality: Modality, coarse: Located) -> Located | None:
    """Find the same ship again in a window around it, at a finer scale."""
    outline = coarse.outline
    reach = outline.length * _SURROUNDINGS + 8
    top, left = max(int(outline.row - reach), 0), max(int(outline.column - reach), 0)
    bottom, right = int(outline.row + reach) + 1, int(outline.column + reach) + 1
    window = pixels[top:bottom, left:right]
    factor = reduction_factor(window.shape)
    if factor >= coarse.found.factor:
        return None
    return _locate(contrast_map(window, modality, factor), coarse.candidates, (top, left))


def _locate(
    found: ContrastMap, crowd: list[Candidate] | None, origin: tuple[int, int]
) -> Located | None:
    """Choose the best region and fit its outline."""
    candidates = find_candidates(found)
    if not candidates or candidates[0].likeness < _LEAST_LIKENESS:
        return None
    outline = fit_outline(found, candidates[0], candidates)
    crowding = surroundings_share(found, candidates[0], outline)
    scaled = outline.shrunk(_BLUR_PX[found.speckled]).scaled(found.factor)
    return Located(
        found,
        candidates,
        outline,
        Rectangle(
            scaled.row + origin[0],
            scaled.column + origin[1],
            scaled.length,
            scaled.width,
            scaled.axis_deg,
        ),
        candidates if crowd is None else crowd,
        _confidence(found, candidates[0], crowding),
        crowding,
        origin,
    )


def _confidence(found: ContrastMap, ship: Candidate, crowding: float) -> float:
    """How sure it is that a region is a ship on water, 0..1.

    Its shape, its contrast (clouds, fields and wakes stand out less), and how much of the chip
    beside it is water (among houses and woods little is).
    """
    contrast = float(np.median(found.contrast[ship.rows, ship.columns]))
    quiet = int((found.contrast < _QUIET).sum())
    beside = found.contrast.size - ship.rows.size
    share = quiet / max(beside, 1)
    water = np.interp(share, (0.35, 0.7), (0.3, 1.0))
    if found.speckled:
        return float(ship.shape * water * np.interp(contrast, *_STRONG_SAR))
    # A hull seen optically is whole and has sharp sides; buildings and beaches are ragged.
    whole = np.interp(ship.fill, (0.62, 0.88), (0.5, 1.0))
    apart = np.interp(crowding, (0.08, 0.35), (1.0, 0.65))
    return float(ship.shape * water * whole * apart * np.interp(contrast, *_STRONG))


def surroundings_share(found: ContrastMap, ship: Candidate, outline: Rectangle) -> float:
    """Return the share of a frame around the outline, a ship's width wide, that stands out.

    Args:
        ship: the ship's region; a quarter of its contrast is what counts as standing out.
    """
    half_u, half_v = outline.length / 2, outline.width / 2
    gap, reach = 2.0 + 0.35 * half_v, 3.0 + 2.4 * half_v
    limit = int(half_u + reach) + 2
    top, left = max(int(outline.row) - limit, 0), max(int(outline.column) - limit, 0)
    near = found.contrast[top : int(outline.row) + limit, left : int(outline.column) + limit]
    away_r = (np.arange(near.shape[0], dtype=np.float32) + (top - outline.row))[:, None]
    away_c = (np.arange(near.shape[1], dtype=np.float32) + (left - outline.column))[None, :]
    angle = np.radians(outline.axis_deg)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = np.abs(away_c * sin - away_r * cos), np.abs(away_r * sin + away_c * cos)
    frame = (u < half_u + reach) & (v < half_v + reach) & ((u > half_u + gap) | (v > half_v + gap))
    if not frame.any():
        return 0.0
    level = float(np.median(found.contrast[ship.rows, ship.columns]))
    return float((near[frame] > max(4.0, 0.25 * level)).mean())


def row_contrast(found: ContrastMap, upright: bool) -> NDArray[np.float64]:
    """Mean contrast of each row (column where not `upright`), single pixels limited to 8."""
    return np.asarray(np.minimum(found.contrast, 8.0).mean(axis=1 if upright else 0), np.float64)
