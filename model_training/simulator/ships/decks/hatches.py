"""Rows of cargo hatches: coamings, covers, what stands between them, and the deck around."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Hold
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.house import aft_house
from model_training.simulator.ships.materials import Material as Mat

COVER_STYLES = SIDE_ROLLING, FOLDING, PONTOON = range(3)
"""Styles of hatch cover: the seam lies along the ship, across it, or there are several across."""


@dataclass(frozen=True, slots=True)
class CoverRanges:
    """One hatch: coaming, cover and its seams."""

    coaming_edge_m: float = 0.8  # coaming beyond the cover, on each side
    cover_m: float = 0.9  # cover above the coaming
    rolling_seam_m: float = 0.7
    rolling_seam_below_m: float = 0.5  # below the cover's top
    folding_seam_m: float = 0.8
    folding_seam_below_m: float = 0.6
    pontoon_first_m: float = 6.0
    pontoon_last_m: float = 3.0  # no seam nearer than this to the fore end
    pontoon_pitch_m: float = 6.5
    pontoon_seam_m: float = 0.5
    pontoon_seam_below_m: float = 0.4
    bracket_out_m: float = 1.2  # outside the cover
    bracket_length_m: float = 0.6
    bracket_width_m: float = 1.2
    bracket_top: float = 0.8  # of the coaming's height


@dataclass(frozen=True, slots=True)
class BetweenRanges:
    """The strip between two hatches: mast houses, winches, vents."""

    least_length_m: float = 1.5
    house_share: float = 0.45
    house_length: float = 0.6  # of the strip's
    house_width: Range = (0.3, 0.9)  # of the hatches' width
    house_top_m: Range = (2.0, 4.0)
    gear: Counts = (3, 8)
    gear_x: Range = (-0.3, 0.3)  # of the strip's length
    gear_y: Range = (-0.5, 0.5)  # of the hatches' width
    gear_length_m: Range = (0.8, 2.0)
    gear_width_m: Range = (0.8, 3.0)
    gear_top_m: Range = (1.0, 3.0)
    own_gear: Counts = (0, 2)  # pieces that sister ships do not share
    own_length_m: float = 1.2
    own_width_m: float = 1.5
    own_top_m: Range = (1.0, 2.6)


@dataclass(frozen=True, slots=True)
class HatchRowRanges:
    """All hatches of a ship; the pitch is the length of hatch and strip together."""

    strip_of_pitch: Range = (0.16, 0.34)
    coaming_m: Range = (1.0, 2.2)
    bracket_pitch_m: Range = (3.0, 6.0)
    short_fore_share: float = 0.7  # the foremost hold is shorter
    short_fore: Range = (0.7, 0.92)
    unequal_share: float = 0.5  # holds of unequal length, for strength or ballast
    unequal: Range = (0.9, 1.06)
    narrow_fore: Range = (0.72, 1.0)  # width of the foremost hatch over the others'
    plate_of_strip: float = 0.4  # bare plate before each hatch
    plate_top_m: float = 0.3
    clear_m: float = 0.8  # free of gear beside each coaming
    length_m: tuple[float, ...] = (60.0, 110.0, 150.0, 180.0, 200.0, 230.0, 270.0, 330.0)
    usual_count: tuple[float, ...] = (1.5, 3.0, 4.0, 5.0, 5.0, 7.0, 8.5, 9.0)
    """Usual number of hatches at each of the lengths: five on a handysize, seven on a panamax,
    nine on a capesize."""
    count_more: Range = (-0.6, 0.6)


@dataclass(frozen=True, slots=True)
class MainDeckRanges:
    """The cargo deck between house and forecastle."""

    forecastle_of_l: Range = (0.925, 0.95)
    forecastle_raised_m: tuple[float, ...] = (0.0, 2.2, 2.6)
    clear_aft_of_l: Range = (0.008, 0.02)
    clear_fore_of_l: Range = (0.004, 0.015)


@dataclass(frozen=True, slots=True)
class HatchHelipadRanges:
    """A landing circle painted on a hatch cover or beside it."""

    of_hatch: float = 0.42  # radius over the hatch's length
    radius_of_b: Range = (0.1, 0.2)
    beside_share: float = 0.25
    beside_y_of_b: float = 0.36
    beside_radius_of_b: float = 0.1


COVER = CoverRanges()
BETWEEN = BetweenRanges()
HATCH_ROW = HatchRowRanges()
MAIN_DECK = MainDeckRanges()
HATCH_HELIPAD = HatchHelipadRanges()


def main_deck(bp: Blueprint, rng: Rng, own: Rng, house_of_l: Range) -> tuple[float, float]:
    """Add house, forecastle and rails; return the x limits of the deck between, metres."""
    L = bp.length
    front = aft_house(bp, rng, own, L * uniform(rng, house_of_l))
    fore = L * uniform(rng, MAIN_DECK.forecastle_of_l)
    fit.forecastle(bp, rng, fore, pick(rng, MAIN_DECK.forecastle_raised_m))
    fit.rails(bp, rng, front, fore)
    x0 = front + L * uniform(rng, MAIN_DECK.clear_aft_of_l)
    return x0, fore - L * uniform(rng, MAIN_DECK.clear_fore_of_l)


def usual_hatch_count(length_m: float, rng: Rng) -> int:
    """Draw the number of hatches that bulk carriers of this length usually have."""
    usual = float(np.interp(length_m, HATCH_ROW.length_m, HATCH_ROW.usual_count))
    return max(1, round(usual + uniform(rng, HATCH_ROW.count_more)))


def hatch_row(
    bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, count: int, width: float
) -> list[tuple[float, float]]:
    """Add `count` hatches of `width` metres from x0 to x1, and the gear between them.

    Returns:
        The x limits of each hatch in metres, stern first.
    """
    row = HATCH_ROW
    strip = uniform(rng, row.strip_of_pitch)
    pitch = (x1 - x0) / count
    coaming, style = uniform(rng, row.coaming_m), pick(rng, COVER_STYLES)
    bracket_pitch = uniform(rng, row.bracket_pitch_m)
    sizes = np.ones(count) * (1 - strip)
    if chance(rng, row.short_fore_share):
        sizes[-1] *= uniform(rng, row.short_fore)
    if chance(rng, row.unequal_share):
        sizes *= rng.uniform(*row.unequal, count)
    narrow_fore = uniform(rng, row.narrow_fore)
    spans: list[tuple[float, float]] = []
    for i in range(count):
        start = x0 + pitch * (i + strip / 2)
        end = start + pitch * float(sizes[i])
        own_width = width * (narrow_fore if i == count - 1 else 1.0)
        plate = pitch * strip * row.plate_of_strip
        bp.across(start - plate, start, width / 2, row.plate_top_m, Mat.DECK)
        _hatch(bp, start, end, own_width, coaming, style)
        _brackets(bp, start, end, own_width / 2, coaming, bracket_pitch)
        spans.append((start, end))
    for (_, end), (start, _) in pairwise(spans):
        _between(bp, rng, own, end + row.clear_m, start - row.clear_m, width)
    return spans


def _hatch(bp: Blueprint, x0: float, x1: float, width: float, coaming: float, style: int) -> None:
    """Add a coaming with its cover, and record the hold below."""
    cover, half, edge = coaming + COVER.cover_m, width / 2, COVER.coaming_edge_m
    bp.across(x0 - edge, x1 + edge, half + edge, coaming, Mat.COAMING)
    bp.across(x0, x1, half, cover, Mat.HATCH)
    if style == SIDE_ROLLING:
        seam_top = cover - COVER.rolling_seam_below_m
        bp.across(x0, x1, COVER.rolling_seam_m / 2, seam_top, Mat.COAMING)
    elif style == FOLDING:
        middle, seam = (x0 + x1) / 2, COVER.folding_seam_m / 2
        seam_top = cover - COVER.folding_seam_below_m
        bp.across(middle - seam, middle + seam, half, seam_top, Mat.COAMING)
    else:
        first, last = x0 + COVER.pontoon_first_m, x1 - COVER.pontoon_last_m
        seam_top = cover - COVER.pontoon_seam_below_m
        for x in np.arange(first, last, COVER.pontoon_pitch_m):
            bp.across(float(x), float(x) + COVER.pontoon_seam_m, half, seam_top, Mat.COAMING)
    bp.holds.append(Hold(x0, x1, -half, half, cover, style == FOLDING))


def _brackets(
    bp: Blueprint, x0: float, x1: float, half_width: float, coaming: float, pitch: float
) -> None:
    """Add coaming brackets at a constant pitch: corner reflectors in rows."""
    top = coaming * COVER.bracket_top
    for side in SIDES:
        y = side * (half_width + COVER.bracket_out_m)
        for x in np.arange(x0 + pitch / 2, x1, pitch):
            bp.block(float(x), y, COVER.bracket_length_m, COVER.bracket_width_m, top, Mat.MACHINERY)


def _between(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, width: float) -> None:
    """Add machinery on the strip between two hatches of `width` metres."""
    middle, length = (x0 + x1) / 2, max(x1 - x0, BETWEEN.least_length_m)
    if chance(rng, BETWEEN.house_share):
        house_width = width * uniform(rng, BETWEEN.house_width)
        house_top = uniform(rng, BETWEEN.house_top_m)
        bp.block(middle, 0.0, length * BETWEEN.house_length, house_width, house_top, Mat.HOUSE_ROOF)
    for _ in range(whole(rng, BETWEEN.gear)):
        bp.block(
            middle + uniform(rng, BETWEEN.gear_x) * length,
            uniform(rng, BETWEEN.gear_y) * width,
            uniform(rng, BETWEEN.gear_length_m),
            uniform(rng, BETWEEN.gear_width_m),
            uniform(rng, BETWEEN.gear_top_m),
            Mat.MACHINERY,
        )
    for _ in range(whole(own, BETWEEN.own_gear)):
        bp.block(
            middle,
            uniform(own, BETWEEN.gear_y) * width,
            BETWEEN.own_length_m,
            BETWEEN.own_width_m,
            uniform(own, BETWEEN.own_top_m),
            Mat.MACHINERY,
        )


def maybe_helipad(bp: Blueprint, own: Rng, spans: list[tuple[float, float]], share: float) -> None:
    """Paint a landing circle on a hatch or beside it, on a `share` of the ships."""
    if own.random() > share:
        return
    pad = HATCH_HELIPAD
    start, end = pick(own, spans)
    middle = (start + end) / 2
    radius = min((end - start) * pad.of_hatch, bp.beam * uniform(own, pad.radius_of_b))
    if chance(own, pad.beside_share):
        y = pick(own, SIDES) * bp.beam * pad.beside_y_of_b
        fit.helipad(bp, own, middle, y, bp.beam * pad.beside_radius_of_b, 0.0)
    else:
        fit.helipad(bp, own, middle, 0.0, radius, bp.holds[0].top)
