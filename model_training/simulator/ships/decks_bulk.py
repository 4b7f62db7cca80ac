"""Decks with hatches: bulk carriers, geared or not, open hatch, self-unloading, general cargo."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from model_training.simulator.ships import fittings as fit
from model_training.simulator.ships.blueprint import Blueprint, Hold
from model_training.simulator.ships.materials import Material as Mat

Rng = np.random.Generator


def _hatch(
    bp: Blueprint, rng: Rng, x0: float, x1: float, width: float, coaming: float, style: int
) -> None:
    """Coaming with cover: side-rolling (seam along), folding (seams across) or pontoon."""
    edge = 0.8
    cover = coaming + 0.9
    bp.box(x0 - edge, x1 + edge, -width / 2 - edge, width / 2 + edge, coaming, Mat.COAMING)
    bp.box(x0, x1, -width / 2, width / 2, cover, Mat.HATCH)
    if style == 0:
        bp.box(x0, x1, -0.35, 0.35, cover - 0.5, Mat.COAMING)
    elif style == 1:
        middle = (x0 + x1) / 2
        bp.box(middle - 0.4, middle + 0.4, -width / 2, width / 2, cover - 0.6, Mat.COAMING)
    else:
        for x in np.arange(x0 + 6, x1 - 3, 6.5):
            bp.box(float(x), float(x) + 0.5, -width / 2, width / 2, cover - 0.4, Mat.COAMING)
    bp.holds.append(Hold(x0, x1, -width / 2, width / 2, cover, style == 1))


def _stays(bp: Blueprint, x0: float, x1: float, half: float, top: float, pitch: float) -> None:
    """Coaming brackets at a constant pitch: corner reflectors in rows."""
    for side in (-1, 1):
        for x in np.arange(x0 + pitch / 2, x1, pitch):
            bp.block(float(x), side * (half + 1.2), 0.6, 1.2, top * 0.8, Mat.MACHINERY)


def _between(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, width: float) -> None:
    """Machinery on the strip between two hatches: winches, mast houses, vents."""
    middle, gap = (x0 + x1) / 2, max(x1 - x0, 1.5)
    if rng.random() < 0.45:
        bp.block(
            middle, 0, gap * 0.6, width * rng.uniform(0.3, 0.9), rng.uniform(2, 4), Mat.HOUSE_ROOF
        )
    for _ in range(int(rng.integers(3, 9))):
        bp.block(
            middle + rng.uniform(-0.3, 0.3) * gap,
            rng.uniform(-0.5, 0.5) * width,
            rng.uniform(0.8, 2),
            rng.uniform(0.8, 3),
            rng.uniform(1.0, 3.0),
            Mat.MACHINERY,
        )
    for _ in range(int(own.integers(0, 3))):
        bp.block(
            middle, own.uniform(-0.5, 0.5) * width, 1.2, 1.5, own.uniform(1.0, 2.6), Mat.MACHINERY
        )


def _hatch_row(
    bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, count: int, width: float
) -> list[tuple[float, float]]:
    """Lay `count` hatches from x0 to x1 and what is between; returns the hatch spans."""
    gap_share = float(rng.uniform(0.16, 0.34))
    pitch = (x1 - x0) / count
    coaming, style = float(rng.uniform(1.0, 2.2)), int(rng.integers(3))
    stays = float(rng.uniform(3.0, 6.0))
    # Holds are not all equal: the first is short, and some are longer for strength or ballast.
    sizes = np.ones(count) * (1 - gap_share)
    if rng.random() < 0.7:
        sizes[-1] *= rng.uniform(0.7, 0.92)
    if rng.random() < 0.5:
        sizes *= rng.uniform(0.9, 1.06, count)
    narrow_fore = float(rng.uniform(0.72, 1.0))
    spans: list[tuple[float, float]] = []
    for i in range(count):
        start = x0 + pitch * (i + gap_share * 0.5)
        end = start + pitch * float(sizes[i])
        own_width = width * (narrow_fore if i == count - 1 else 1.0)
        bp.box(start - pitch * gap_share * 0.4, start, -width / 2, width / 2, 0.3, Mat.DECK)
        _hatch(bp, rng, start, end, own_width, coaming, style)
        _stays(bp, start, end, own_width / 2, coaming, stays)
        spans.append((start, end))
    for (_, e0), (s1, _) in pairwise(spans):
        _between(bp, rng, own, e0 + 0.8, s1 - 0.8, width)
    return spans


def _hatch_count(length: float, rng: Rng) -> int:
    usual = np.interp(length, [60, 110, 150, 180, 200, 230, 270, 330], [1.5, 3, 4, 5, 5, 7, 8.5, 9])
    return max(1, round(float(usual) + rng.uniform(-0.6, 0.6)))


def _main_deck(
    bp: Blueprint, rng: Rng, own: Rng, house: tuple[float, float]
) -> tuple[float, float]:
    """House aft and forecastle; returns the x limits of the deck between."""
    L = bp.length
    front = fit.aft_house(bp, rng, own, L * float(rng.uniform(*house)))
    fore = L * float(rng.uniform(0.925, 0.95))
    fit.forecastle(bp, rng, own, fore, float(rng.choice([0.0, 2.2, 2.6])))
    fit.rails(bp, rng, front, fore)
    return front + L * float(rng.uniform(0.008, 0.02)), fore - L * float(rng.uniform(0.004, 0.015))


def bulk(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Gearless bulk carrier."""
    x0, x1 = _main_deck(bp, rng, own, (0.055, 0.09))
    width = bp.beam * float(rng.uniform(0.42, 0.62))
    spans = _hatch_row(bp, rng, own, x0, x1, _hatch_count(bp.length, rng), width)
    fit.side_gear(bp, rng, own, x0, x1, 0.12)
    _maybe_helipad(bp, own, spans, 0.55)


def _maybe_helipad(bp: Blueprint, own: Rng, spans: list[tuple[float, float]], share: float) -> None:
    if own.random() > share:
        return
    start, end = spans[int(own.integers(len(spans)))]
    radius = min((end - start) * 0.42, bp.beam * float(own.uniform(0.1, 0.2)))
    if own.random() < 0.25:
        fit.helipad(
            bp,
            own,
            (start + end) / 2,
            float(own.choice([-1, 1])) * bp.beam * 0.36,
            bp.beam * 0.1,
            0.0,
        )
    else:
        fit.helipad(bp, own, (start + end) / 2, 0.0, radius, bp.holds[0].top)


def geared_bulk(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Handysize and supramax with cranes on the centre line between the hatches."""
    x0, x1 = _main_deck(bp, rng, own, (0.055, 0.09))
    count = min(_hatch_count(bp.length, rng), 7)
    width = bp.beam * float(rng.uniform(0.48, 0.68))
    spans = _hatch_row(bp, rng, own, x0, x1, count, width)
    fit.side_gear(bp, rng, own, x0, x1, 0.12)
    every = 2 if count > 6 else 1
    parks_forward = own.random() < 0.5
    offset = bp.beam * float(rng.choice([0.0, 0.0, 0.12]))
    top = float(rng.uniform(10, 16))
    reach = float(rng.uniform(0.75, 1.05)) * (x1 - x0) / count
    for i in range(0, count - 1, every):
        x = (spans[i][1] + spans[i + 1][0]) / 2
        park = 0.0 if parks_forward else np.pi
        if own.random() < 0.15:
            park = np.pi - park
        fit.deck_crane(bp, rng, x, offset, reach * 1.05, top, park)
    if rng.random() < 0.4:  # grabs lie on deck
        for start, _ in spans[::2]:
            bp.block(start - 1.5, bp.beam * float(own.choice([-0.3, 0.3])), 3, 4, 3.0, Mat.CARGO)
    _maybe_helipad(bp, own, spans, 0.3)


def open_hatch(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Box-shaped holds over the full width, with two travelling gantry cranes or side cranes."""
    x0, x1 = _main_deck(bp, rng, own, (0.06, 0.09))
    width = bp.beam * float(rng.uniform(0.78, 0.9))
    count = int(rng.integers(7, 11))
    spans = _hatch_row(bp, rng, own, x0, x1, count, width)
    if rng.random() < 0.6:
        for at in (rng.uniform(0.1, 0.4), rng.uniform(0.55, 0.9)):
            x = x0 + (x1 - x0) * float(at)
            for dx in (-4.5, 4.5):
                bp.block(x + dx, 0, 2.0, bp.beam * 0.99, 15.0, Mat.CRANE)
            for side in (-1, 1):
                bp.block(x, side * bp.beam * 0.47, 11.0, 2.0, 14.0, Mat.CRANE)
            bp.block(x, float(own.uniform(-0.2, 0.2)) * bp.beam, 5, 4, 16.0, Mat.HOUSE)
    else:
        for i in range(0, count - 1, 2):
            fit.deck_crane(bp, rng, (spans[i][1] + spans[i + 1][0]) / 2, 0, 26, 15, 0.0)


def self_unloader(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Bulk carrier whose conveyor boom lies along the deck."""
    x0, x1 = _main_deck(bp, rng, own, (0.06, 0.1))
    width = bp.beam * float(rng.uniform(0.4, 0.55))
    spans = _hatch_row(bp, rng, own, x0, x1, _hatch_count(bp.length, rng) + 2, width)
    side = float(rng.choice([0.0, 0.0, 0.25, -0.25])) * bp.beam
    root = x0 + 4 if rng.random() < 0.6 else (x0 + x1) / 2
    reach = min(75.0, 0.4 * bp.length) * (1 if root < bp.length / 2 else -1)
    bp.block(root, side, 8, bp.beam * 0.3, 11, Mat.HOUSE_ROOF)
    slant = float(own.uniform(-0.04, 0.04))
    bp.bar(root, side, root + reach, side + reach * slant, 2.8, 8.5, Mat.CRANE)
    for offset in (-1.9, 1.9):
        bp.bar(
            root, side + offset, root + reach, side + offset + reach * slant, 0.7, 9.5, Mat.CRANE
        )
    fit.side_gear(bp, rng, own, x0, x1, 0.1)
    _maybe_helipad(bp, own, spans, 0.3)


def general_cargo(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Coaster or multi-purpose ship: few wide hatches, cranes at the side, house aft or forward."""
    L, B = bp.length, bp.beam
    x0, x1 = _main_deck(bp, rng, own, (0.07, 0.12))
    count = 1 if L < 85 and rng.random() < 0.6 else int(rng.integers(2, 5))
    width = B * float(rng.uniform(0.62, 0.86))
    spans = _hatch_row(bp, rng, own, x0, x1, count, width)
    fit.side_gear(bp, rng, own, x0, x1, 0.15)
    if rng.random() < (0.25 if L < 90 else 0.75):
        side = float(rng.choice([-1.0, 1.0, 0.0]))
        cranes = int(rng.integers(2, 4)) if L > 90 else 1
        for i in range(cranes):
            at = x0 + (x1 - x0) * (i + 0.5) / cranes + float(rng.uniform(-3, 3))
            if side == 0.0 and count > 1:
                at = spans[min(i, count - 2)][1] + 2
            park = 0.0 if i == 0 else np.pi
            fit.deck_crane(
                bp,
                rng,
                at,
                side * B * 0.44,
                (x1 - x0) / cranes * 0.75,
                float(rng.uniform(9, 16)),
                park,
            )
    if rng.random() < 0.4:
        start, end = spans[int(rng.integers(len(spans)))]
        bp.cargo_deck = (start, end, width * 0.45)
