"""Find the regions of a contrast map that may be ships, at several thresholds, and score them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.framing.contrast import ContrastMap

BoolMap = NDArray[np.bool_]

_THRESHOLDS = (4.0, 8.0, 14.0, 22.0)
"""Contrasts, in spreads of the water, at which regions are formed; the higher ones separate
a ship from a quay or another ship that touches it."""
_FAINT = 2.0
"""Mean contrast over a neighbourhood at which a faint hull around a bright tower is sought."""
_CLEAR = 0.8
"""Likeness above which no further threshold is tried."""
_OFFSET_SCALE = 0.45
"""Distance from the picture's middle, over half its long side, at which a region counts half: the
ship that a detector meant lies near the middle."""
_LAND = ((0.4, 0.6), (1.0, 2.0))
"""Shares of a region's outline on the picture's border, and how many times its offset counts: land
fills the picture from its border, and however much of it there is, it is not the ship. A ship that
the border cuts lies on it with less."""
_LEAST_PIXELS = 6
_CONSIDERED = 5
"""Regions that are looked at closely at each threshold: the heaviest."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connected region of a contrast map.

    Attributes:
        rows: int `[N]`, rows of its pixels.
        columns: int `[N]`, their columns.
        centre: row and column of its centre of mass, map pixels.
        length: long side of the rectangle with the same second moments, map pixels.
        width: short side of that rectangle.
        axis_deg: principal axis, clockwise from the top, 0 to below 180.
        fill: share of that rectangle that the region fills, about 1 for a hull.
        border: share of its outline that lies on the picture's border.
        offset: distance of the centre from the picture's centre over half the long side.
        mass: summed contrast strength.
        threshold: contrast at which it was formed.
        shape: how much its shape is a ship's, 0..1.
        likeness: how much it looks like the ship that is meant: shape, and nearness to the middle.
        score: likeness and size together; the best candidate has the highest.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    centre: tuple[float, float]
    length: float
    width: float
    axis_deg: float
    fill: float
    border: float
    offset: float
    mass: float
    threshold: float
    shape: float
    likeness: float
    score: float


def find_candidates(found: ContrastMap) -> list[Candidate]:
    """Return regions that stand out from the water, best first."""
    candidates: list[Candidate] = []
    for threshold in _THRESHOLDS:
        above = found.contrast > threshold
        if not above.any():
            break
        candidates += _regions(found, _consolidate(above), threshold)
        if any(candidate.likeness > _CLEAR for candidate in candidates):
            break
    if not any(candidate.likeness > _CLEAR for candidate in candidates):
        size = max(3, round(max(found.contrast.shape) / 24))
        faint = ndimage.uniform_filter(found.contrast, size, mode="nearest") > _FAINT
        candidates += _regions(found, faint, _FAINT)
    return sorted(candidates, key=lambda candidate: -candidate.score)


def _consolidate(above: BoolMap) -> BoolMap:
    """Close gaps and drop thin lines (side lobes, ripples) by a majority of 5 x 5 pixels."""
    size = 5 if min(above.shape) >= 24 else 3
    return np.asarray(ndimage.uniform_filter(above.astype(np.float32), size, mode="nearest") > 0.5)


def _regions(found: ContrastMap, mask: BoolMap, threshold: float) -> list[Candidate]:
    """Describe the heaviest connected regions of `mask`."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return []
    mass = np.bincount(labels.ravel(), found.strength.ravel(), count + 1)
    mass[0] = 0.0
    boxes = ndimage.find_objects(labels)
    heaviest = np.argsort(mass)[::-1][:_CONSIDERED]
    regions = []
    for label in heaviest:
        if label == 0 or mass[label] <= 0.02 * mass[heaviest[0]]:
            continue
        region = _describe(found, labels, int(label), boxes[label - 1], threshold)
        if region is not None:
            regions.append(region)
    return regions


def _describe(
    found: ContrastMap,
    labels: NDArray[np.int32],
    label: int,
    box: tuple[slice, slice],
    threshold: float,
) -> Candidate | None:
    """Moments and score of one region; None for a speck."""
    rows, columns = np.nonzero(labels[box] == label)
    if rows.size < _LEAST_PIXELS:
        return None
    rows, columns = rows + box[0].start, columns + box[1].start
    row, column = float(rows.mean()), float(columns.mean())
    away_r, away_c = rows - row, columns - column
    # A pixel is a square, not a point: 1/12 of variance each way.
    rr = float(away_r @ away_r) / rows.size + 1 / 12
    cc = float(away_c @ away_c) / rows.size + 1 / 12
    rc = float(away_r @ away_c) / rows.size
    half_sum, root = (rr + cc) / 2, float(np.hypot((rr - cc) / 2, rc))
    length, width = np.sqrt(12 * (half_sum + root)), np.sqrt(12 * max(half_sum - root, 1 / 12))
    axis = float(np.degrees(0.5 * np.arctan2(-2 * rc, rr - cc))) % 180.0
    height_px, width_px = found.contrast.shape
    on_border = (rows == 0) | (rows == height_px - 1) | (columns == 0) | (columns == width_px - 1)
    border = min(float(on_border.sum()) / (2 * (length + width)), 1.0)
    offset = float(np.hypot(row - (height_px - 1) / 2, column - (width_px - 1) / 2))
    offset /= max(height_px, width_px) / 2
    mass = float(found.strength[rows, columns].sum())
    fill = rows.size / (length * width)
    shape = _shape(length / width, fill, border)
    away = offset * float(np.interp(border, *_LAND))
    likeness = shape / (1.0 + (away / _OFFSET_SCALE) ** 2)
    score = likeness * mass**0.6 * (0.6 if threshold == _FAINT else 1.0)
    return Candidate(
        rows=rows,
        columns=columns,
        centre=(row, column),
        length=float(length),
        width=float(width),
        axis_deg=axis,
        fill=float(fill),
        border=border,
        offset=offset,
        mass=mass,
        threshold=threshold,
        shape=shape,
        likeness=likeness,
        score=float(score),
    )


def _shape(aspect: float, fill: float, border: float) -> float:
    """How much a region looks like a ship, 0..1.

    A ship is 2 to 12 times as long as wide, fills its rectangle and lies inside the picture.
    """
    slender = np.interp(aspect, (1.0, 2.2, 9.0, 16.0), (0.1, 1.0, 1.0, 0.1))
    filled = np.interp(fill, (0.35, 0.7), (0.1, 1.0))
    return float(slender * filled * (1.0 - 0.8 * border))
