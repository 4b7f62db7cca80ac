"""Decks of ferries and of small working and patrol ships."""

from __future__ import annotations

import numpy as np

from model_training.simulator.ships import fittings as fit
from model_training.simulator.ships.blueprint import Blueprint
from model_training.simulator.ships.materials import Material as Mat

Rng = np.random.Generator


def ferry(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Passenger ferry: stepped houses over most of the length, funnels, boats in rows."""
    L, B = bp.length, bp.beam
    aft, fore = L * float(rng.uniform(0.03, 0.12)), L * float(rng.uniform(0.86, 0.93))
    decks = int(np.clip(L / 35, 1, 4))
    fit.forecastle(bp, rng, own, fore, 1.0)
    for i in range(decks):
        bp.box(
            aft, fore, -B * 0.48, B * 0.48, 3.0 * (i + 1), Mat.ROOF if i == decks - 1 else Mat.HOUSE
        )
        aft += L * float(rng.uniform(0.02, 0.12))
        fore -= L * float(rng.uniform(0.01, 0.05))
    top = 3.0 * decks
    bp.box(fore - L * 0.04, fore, -B * 0.5, B * 0.5, top + 3, Mat.HOUSE)
    for side in (-0.2, 0.2) if rng.random() < 0.4 else (0.0,):
        bp.block(
            L * float(rng.uniform(0.2, 0.4)), side * B, L * 0.05, B * 0.14, top + 8, Mat.FUNNEL
        )
    boats = int(np.clip(L / 30, 1, 7))
    for i in range(boats):
        for side in (-1, 1):
            bp.block(
                aft + (fore - aft) * (i + 0.5) / boats, side * B * 0.45, 7, 2.6, top + 2, Mat.BOAT
            )
    for _ in range(int(rng.integers(6, 16))):
        bp.block(
            rng.uniform(aft, fore),
            rng.uniform(-0.35, 0.35) * B,
            rng.uniform(1.5, 8),
            rng.uniform(1.5, 5),
            top + rng.uniform(0.7, 3),
            rng.choice(np.array([Mat.MACHINERY, Mat.HOUSE])),
        )
    bp.block(fore - L * 0.06, 0, 1, 1, top + 10, Mat.CRANE)
    if own.random() < 0.35:
        fit.helipad(bp, own, aft * 0.7, 0, B * 0.28, top - 2.5)


def offshore(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Supply ship: house forward, long open cargo deck aft with crash rails."""
    L, B = bp.length, bp.beam
    start = L * float(rng.uniform(0.58, 0.68))
    bp.box(start, L * 0.93, -B * 0.46, B * 0.46, 3.5, Mat.HOUSE_ROOF)
    bp.box(start + L * 0.04, L * 0.88, -B * 0.38, B * 0.38, 9.0, Mat.HOUSE_ROOF)
    bp.box(start + L * 0.1, start + L * 0.2, -B * 0.42, B * 0.42, 13.0, Mat.HOUSE)
    for side in (-1, 1):
        bp.block(start + 2, side * B * 0.4, 4, 2, 11, Mat.FUNNEL)
        bp.box(L * 0.05, start, side * B * 0.46, side * B * 0.42, 3.0, Mat.COAMING)
    bp.block(start + L * 0.15, 0, 1, 1, 21, Mat.CRANE)
    if rng.random() < 0.4:
        fit.helipad(bp, rng, L * 0.88, 0, B * 0.36, 10.0)
    else:
        fit.forecastle(bp, rng, own, L * 0.9, 4.0)
    if rng.random() < 0.5:
        fit.deck_crane(bp, rng, start - 4, B * 0.36, L * 0.2, 9, np.pi)
    bp.cargo_deck = (L * 0.06, start - 3, B * 0.38)


def fishing(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Trawler or seiner: house forward or aft, gallows, net drums, boom."""
    L, B = bp.length, bp.beam
    at = L * float(rng.choice([0.2, 0.5, 0.62]))
    size = L * float(rng.uniform(0.15, 0.26))
    fit.forecastle(bp, rng, own, L * 0.86, 1.8)
    bp.box(at, at + size, -B * 0.4, B * 0.4, 3.0, Mat.HOUSE_ROOF)
    bp.box(at + size * 0.35, at + size * 0.8, -B * 0.3, B * 0.3, 6.0, Mat.HOUSE)
    bp.block(at + size * 0.3, 0, 0.8, 0.8, 12, Mat.CRANE)
    bp.block(at + size * 0.1, B * 0.2, 2, 1.5, 6, Mat.FUNNEL)
    bp.block(L * 0.05, 0, 1.2, B * 0.8, 6, Mat.CRANE)
    bp.block(L * float(rng.uniform(0.1, 0.16)), 0, 2, B * 0.5, 2, Mat.MACHINERY)
    for _ in range(int(rng.integers(3, 9))):
        bp.block(
            rng.uniform(0.1, 0.85) * L,
            rng.uniform(-0.35, 0.35) * B,
            rng.uniform(0.6, 2.2),
            rng.uniform(0.6, 2),
            rng.uniform(0.8, 2.2),
            Mat.MACHINERY,
        )
    if rng.random() < 0.6:
        bp.bar(at, 0, at - L * 0.25, float(own.uniform(-0.2, 0.2)) * B, 0.7, 6.0, Mat.CRANE)
    fit.side_gear(bp, rng, own, L * 0.1, L * 0.85, 0.2)


def patrol(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Grey ship: gun forward, stepped house amidships, masts, hangar and helicopter deck aft."""
    L, B = bp.length, bp.beam
    h0, h1 = L * float(rng.uniform(0.3, 0.4)), L * float(rng.uniform(0.66, 0.74))
    bp.box(h0, h1, -B * 0.46, B * 0.46, 3.0, Mat.HOUSE_ROOF)
    bp.box(h0 + L * 0.05, h1 - L * 0.03, -B * 0.36, B * 0.36, 6.0, Mat.HOUSE_ROOF)
    bp.box(h1 - L * 0.14, h1 - L * 0.05, -B * 0.4, B * 0.4, 9.0, Mat.HOUSE)
    bp.block(h1 - L * 0.16, 0, L * 0.03, B * 0.2, 17.0, Mat.CRANE)
    bp.block(h0 + L * float(rng.uniform(0.08, 0.14)), 0, L * 0.05, B * 0.26, 10, Mat.FUNNEL)
    bp.disc(L * float(rng.uniform(0.77, 0.82)), 0, B * 0.13, 2.4, Mat.HOUSE)
    bp.bar(L * 0.8, 0, L * 0.86, 0, 0.6, 2.0, Mat.CRANE)
    for side in (-1, 1):
        bp.block(h0 + L * 0.04, side * B * 0.4, 6, 2, 4.5, Mat.BOAT)
    if L > 60 and rng.random() < 0.7:
        fit.helipad(bp, rng, h0 * 0.45, 0, min(B * 0.36, h0 * 0.35), 0.1)
    for _ in range(int(rng.integers(4, 10))):
        bp.block(
            rng.uniform(0.05, 0.9) * L,
            rng.uniform(-0.35, 0.35) * B,
            rng.uniform(0.8, 3),
            rng.uniform(0.6, 2),
            rng.uniform(0.8, 2.2),
            Mat.MACHINERY,
        )
    for _ in range(int(own.integers(2, 6))):
        bp.block(
            own.uniform(h0, h1),
            own.uniform(-0.3, 0.3) * B,
            1.5,
            1.5,
            own.uniform(4, 8),
            Mat.MACHINERY,
        )


def tug(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Harbour tug: house forward of the middle, towing winch, two funnels."""
    L, B = bp.length, bp.beam
    at = L * float(rng.uniform(0.42, 0.52))
    bp.box(at, at + L * 0.3, -B * 0.3, B * 0.3, 3.0, Mat.HOUSE_ROOF)
    bp.box(at + L * 0.1, at + L * 0.24, -B * 0.22, B * 0.22, 7.0, Mat.HOUSE)
    for side in (-1, 1):
        bp.block(at + 1, side * B * 0.24, 2, 1.2, 7.5, Mat.FUNNEL)
    bp.block(at + L * 0.15, 0, 0.8, 0.8, 13, Mat.CRANE)
    bp.block(at - L * 0.08, 0, 3, 3, 2.2, Mat.MACHINERY)
    bp.block(L * 0.86, 0, 2.5, 2.5, 1.8, Mat.MACHINERY)
    for _ in range(int(own.integers(2, 6))):
        bp.block(
            own.uniform(0.08, 0.4) * L, own.uniform(-0.35, 0.35) * B, 1.2, 1.2, 1.5, Mat.MACHINERY
        )
