"""Judge the quality of a chip: a level and a number for each kind of fault."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.chip import Modality
from service.contract.framing.candidates import Candidate
from service.contract.framing.findings import Finding, Kind, Level
from service.contract.framing.locate import Located
from service.contract.framing.rectangle import Rectangle

_STUBBY = 3.2
"""Length over width below which a ship that ends at the border is taken for the part of one."""
_RUNS_THROUGH = 0.85
"""Share of its width over which something touches two borders that runs on beyond both."""
_MOST_OF_CHIP = 0.5
"""Share of a tight chip's long side that an outline must have to be the hull's."""
NO_SHIP_FROM = {Modality.OPTICAL: (0.65, 0.55), Modality.SAR: (0.65, 0.4)}
"""Confidence at and below which a ship is doubtful, and at and below which none was found."""
CUT_OFF_FROM = (0.45, 0.75)
LAND_FROM = (0.2, 0.5)
SATURATED_FROM = (0.15, 0.5)
"""Shares from which a chip is doubtful and bad."""
COARSE_BELOW_PX = (40, 20)
"""Pixels along the hull below which a chip is doubtful and bad."""
SHAPES = ((2.4, 10.5), (2.0, 12.0))
"""Length over width outside which a chip is doubtful and bad."""
SHORTEST_M, LONGEST_M, WIDEST_M = 10.0, 460.0, 90.0
"""Sizes that no ship exceeds, with a margin."""
NEAR_LIMIT = 0.12
"""Share of a size limit within which a chip is doubtful."""
SMEARED_FROM = (0.55, 0.85)
"""Streaks from which a hull is doubtful and bad; of tight genuine chips the most is 0.6, rows of
containers reach 0.8."""
_CENTRED = 0.25
"""Distance of the ship from the chip's middle, over half the long side, up to which a touched
border is taken for a close crop rather than a cut."""


def judge_empty() -> tuple[Finding, ...]:
    """Judge a chip in which no ship was found: every other kind is ok with the value 0."""
    return tuple(
        Finding(kind, Level.BAD if kind is Kind.NO_SHIP else Level.OK, 0.0) for kind in Kind
    )


def judge(
    pixels: NDArray[Any],
    modality: Modality,
    gsd_m: float,
    located: Located | None,
    outline: Rectangle,
    *,
    tight: bool,
) -> tuple[Finding, ...]:
    """Judge a chip whose ship was found; return a finding for each `Kind`, in its order.

    Args:
        located: the ship; None only for a tight chip whose outline could not be measured.
        outline: the outline in pixels of the chip.
    """
    hull = hull_pixels(pixels, outline)
    return (
        _found(located, modality, tight),
        _several(located, tight),
        _cut_off(located, pixels.shape, tight),
        _land(located, tight),
        _smear(hull, modality),
        _saturation(hull, modality),
        _coarseness(outline),
        _shape(outline, tight),
        _size(outline, gsd_m),
    )


def _level(value: float, doubtful: float, bad: float) -> Level:
    """Level of a value that is the worse the greater it is."""
    if value >= bad:
        return Level.BAD
    return Level.DOUBTFUL if value >= doubtful else Level.OK


def hull_pixels(pixels: NDArray[Any], outline: Rectangle) -> NDArray[Any]:
    """Nearest pixels within the hull, upright, at most 128 x 32.

    A tenth of the length at either end and a sixth of the width at either side is left out: the
    hull's own edges are not looked at.
    """
    length, width = 0.8 * outline.length, 0.67 * outline.width
    rows, columns = int(np.clip(length, 4, 128)), int(np.clip(width, 3, 32))
    along = (np.arange(rows) + 0.5) / rows - 0.5
    across = (np.arange(columns) + 0.5) / columns - 0.5
    angle = np.radians(outline.axis_deg)
    u, v = along[:, None] * length, across[None, :] * width
    row = np.rint(outline.row + u * np.cos(angle) + v * np.sin(angle)).astype(np.intp)
    column = np.rint(outline.column - u * np.sin(angle) + v * np.cos(angle)).astype(np.intp)
    return np.asarray(
        pixels[np.clip(row, 0, pixels.shape[0] - 1), np.clip(column, 0, pixels.shape[1] - 1)]
    )


def _found(located: Located | None, modality: Modality, tight: bool) -> Finding:
    confidence = 1.0 if located is None or tight else located.confidence
    doubtful, bad = NO_SHIP_FROM[modality]
    level = _level(-confidence, -doubtful, -bad)
    return Finding(Kind.NO_SHIP, level, confidence)


def _several(located: Located | None, tight: bool) -> Finding:
    others = [] if located is None or tight else other_ships(located)
    if not others or located is None:
        return Finding(Kind.SEVERAL_SHIPS, Level.OK, 0.0)
    ship = located.crowd[0]
    rival = max(other.score for other in others) / ship.score
    level = Level.BAD if rival > 0.8 else Level.DOUBTFUL
    return Finding(Kind.SEVERAL_SHIPS, level, float(len(others)))


def other_ships(located: Located) -> list[Candidate]:
    """Return further regions of the chip that look like ships of comparable size."""
    ship = located.crowd[0]
    taken = [ship]
    for other in located.crowd[1:]:
        looks = 2.0 <= other.length / other.width <= 12.0 and other.fill > 0.6
        comparable = other.length > 0.35 * ship.length and other.mass > 0.12 * ship.mass
        if not looks or not comparable or other.border > 0.4:
            continue
        if all(_apart(other, known) for known in taken):
            taken.append(other)
    return taken[1:]


def _apart(one: Candidate, two: Candidate) -> bool:
    """Whether two regions are different things: formed at two thresholds, one may hold another."""
    away = np.hypot(one.centre[0] - two.centre[0], one.centre[1] - two.centre[1])
    if away > 0.6 * (one.length + two.length) / 2:
        return True
    small, large = sorted((one, two), key=lambda region: region.rows.size)
    width = int(max(large.columns.max(), small.columns.max())) + 1
    shared = np.isin(small.rows * width + small.columns, large.rows * width + large.columns)
    return bool(shared.mean() < 0.1)


def _cut_off(located: Located | None, shape: tuple[int, ...], tight: bool) -> Finding:
    shares = [0.0, 0.0] if located is None else border_shares(located, ends_only=tight)
    share, second = shares[0], shares[1]
    level = _level(share, *CUT_OFF_FROM)
    if level is Level.BAD and located is not None:
        stubby = located.map_outline.length < _STUBBY * located.map_outline.width
        if tight and located.outline.length < _MOST_OF_CHIP * max(shape):
            return Finding(Kind.CUT_OFF, Level.DOUBTFUL, share)  # a part of the deck, not the hull
        close = tight or (located.ship.offset < _CENTRED and second < _RUNS_THROUGH)
        if close and not (share >= 0.95 and stubby and second < 0.45):
            level = Level.DOUBTFUL  # a close crop of a whole ship has lost little
    return Finding(Kind.CUT_OFF, level, share)


def border_shares(located: Located, *, ends_only: bool) -> list[float]:
    """Return over how much of its width the ship touches each border of the chip, most first.

    Args:
        ends_only: whether only the short sides count, as in a tight chip.
    """
    ship, (height, width) = located.ship, located.found.contrast.shape
    ends = [ship.rows <= 0, ship.rows >= height - 1]
    sides = [ship.columns <= 0, ship.columns >= width - 1]
    short_sides = ends if height >= width else sides
    counted = short_sides if ends_only else ends + sides
    across = max(located.map_outline.width, 2.0)
    return sorted((min(int(side.sum()) / across, 1.0) for side in counted), reverse=True)


def _land(located: Located | None, tight: bool) -> Finding:
    share = 0.0 if located is None or tight else located.crowding
    return Finding(Kind.LAND_BESIDE, _level(share, *LAND_FROM), share)


def _smear(hull: NDArray[Any], modality: Modality) -> Finding:
    """Judge azimuth smear, which only radar has; of an optical chip the value is 0."""
    streaks = streakiness(hull) if modality is Modality.SAR else 0.0
    return Finding(Kind.SMEARED, _level(streaks, *SMEARED_FROM), streaks)


def streakiness(hull: NDArray[Any]) -> float:
    """Coherence of the structure tensor of log amplitude within the hull, 0..1.

    1 where all gradients point the same way, as in a picture of parallel streaks.
    """
    known = np.nan_to_num(hull.astype(np.float32))
    log = np.log(known + np.float32(0.02) * max(float(known.max()), 1e-12))
    smooth = ndimage.gaussian_filter(log, 0.7)
    down, across = np.gradient(smooth)
    rr, cc = float((down**2).mean()), float((across**2).mean())
    rc = float((down * across).mean())
    total = rr + cc
    if total <= 1e-9:
        return 0.0
    return float(np.hypot(rr - cc, 2 * rc) / total)


def _saturation(hull: NDArray[Any], modality: Modality) -> Finding:
    values = hull if hull.ndim == 2 else hull.min(axis=2)
    top = float(np.nanmax(values)) if modality is Modality.SAR else 255.0
    limit = top * (1 - 1e-4) if modality is Modality.SAR else 254.0
    share = float((values >= limit).mean()) if top > 0 else 0.0
    return Finding(Kind.SATURATED, _level(share, *SATURATED_FROM), share)


def _coarseness(outline: Rectangle) -> Finding:
    along = outline.length
    doubtful, bad = COARSE_BELOW_PX
    level = Level.BAD if along < bad else Level.DOUBTFUL if along < doubtful else Level.OK
    return Finding(Kind.TOO_COARSE, level, float(along))


def _shape(outline: Rectangle, tight: bool) -> Finding:
    ratio = outline.length / max(outline.width, 1e-6)
    (usual_low, usual_high), (low, high) = SHAPES
    if not low <= ratio <= high:
        level = Level.BAD
    else:
        level = Level.OK if usual_low <= ratio <= usual_high or tight else Level.DOUBTFUL
    return Finding(Kind.IMPLAUSIBLE_SHAPE, level, float(ratio))


def _size(outline: Rectangle, gsd_m: float) -> Finding:
    length_m, width_m = outline.length * gsd_m, outline.width * gsd_m
    too_large = max(length_m / LONGEST_M, width_m / WIDEST_M)
    too_small = SHORTEST_M / max(length_m, 1e-6)
    level = _level(max(too_large, too_small), 1.0 - NEAR_LIMIT, 1.0)
    return Finding(Kind.GSD_CONTRADICTS_SIZE, level, float(length_m))
