"""What most ships carry: house, funnel, forecastle, masts, boats, helipad, deck gear."""

from __future__ import annotations

import numpy as np

from model_training.simulator.draws import pick
from model_training.simulator.ships.blueprint import Blueprint, Crane
from model_training.simulator.ships.materials import Material as Mat

Rng = np.random.Generator


def aft_house(bp: Blueprint, rng: Rng, own: Rng, x0: float, storeys: int | None = None) -> float:
    """Accommodation with bridge wings, funnel, boats and poop gear; returns its front's x."""
    B, L = bp.beam, bp.length
    storeys = storeys if storeys is not None else int(np.clip(L / 36 + rng.uniform(-1, 2), 2, 8))
    depth = float(np.clip(L * rng.uniform(0.045, 0.075), 5, 18))
    front = x0 + depth
    half = B * float(rng.uniform(0.28, 0.47))
    height = 2.8 * storeys
    bp.box(0.008 * L, x0, -B * 0.42, B * 0.42, 0.8, Mat.FOREDECK)
    lower = min(2, storeys)
    bp.box(
        x0 - depth * rng.uniform(0.2, 0.7), front, -B * 0.46, B * 0.46, 2.8 * lower, Mat.HOUSE_ROOF
    )
    bp.box(x0, front, -half, half, height, Mat.HOUSE_ROOF)
    wing = float(rng.uniform(2.0, 4.5))
    bp.box(front - wing, front, -B * 0.5, B * 0.5, height + 0.3, Mat.HOUSE)
    bp.box(front - wing * 1.6, front - 0.5, -half * 0.6, half * 0.6, height + 2.6, Mat.HOUSE)
    for _ in range(int(own.integers(2, 6))):
        bp.block(
            own.uniform(x0, front - wing),
            own.uniform(-half, half) * 0.8,
            own.uniform(1, 3),
            own.uniform(1, 3),
            height + own.uniform(0.8, 2.5),
            Mat.MACHINERY,
        )
    mast = float(rng.uniform(0.3, 0.7))
    bp.block(front - wing * mast, 0.0, 1.0, 1.2, height + 2.6 + rng.uniform(4, 9), Mat.CRANE)
    # The casing carries the funnel, close behind the house or apart from it.
    gap = pick(rng, (0.0, 0.0, float(rng.uniform(1, 4))))
    fl = float(np.clip(depth * rng.uniform(0.35, 0.7), 2.5, 10))
    fw = float(np.clip(B * rng.uniform(0.14, 0.3), 2.0, 9))
    fx = max(x0 - gap - fl / 2, fl / 2 + 0.02 * L)
    fy = B * pick(rng, (0.0, 0.0, 0.0, 0.18, -0.18))
    bp.block(fx, fy, fl * 1.35, fw * 1.5, height * 0.62, Mat.HOUSE_ROOF)
    bp.block(fx, fy, fl, fw, height + rng.uniform(0.0, 4.5), Mat.FUNNEL)
    bp.block(fx - fl * 0.1, fy, fl * 0.4, fw * 0.5, height + 5.0, Mat.HOLD)
    _boats(bp, rng, own, x0, depth)
    _poop(bp, rng, own, fx - fl)
    return front


def _boats(bp: Blueprint, rng: Rng, own: Rng, x0: float, depth: float) -> None:
    B, L = bp.beam, bp.length
    if L > 85 and rng.random() < 0.7:  # free-fall boat over the stern
        bp.bar(0.012 * L, 0.0, 0.012 * L + 8, 0.0, 2.8, 6.0, Mat.BOAT)
    else:
        size = 6.0 if L > 60 else 3.0
        for side in (-1, 1):
            bp.block(x0 + depth * 0.4, side * B * 0.44, size, 2.2, 7.0, Mat.BOAT)
    if own.random() < 0.6:
        bp.block(
            x0 + depth * own.uniform(-0.3, 0.5), pick(own, (-1, 1)) * B * 0.4, 4, 2, 6.5, Mat.CRANE
        )


def _poop(bp: Blueprint, rng: Rng, own: Rng, x_end: float) -> None:
    if x_end < 4:
        return
    for _ in range(int(rng.integers(3, 8))):
        bp.block(
            rng.uniform(2, x_end),
            rng.uniform(-0.38, 0.38) * bp.beam,
            rng.uniform(1, 3.5),
            rng.uniform(1, 3),
            rng.uniform(1, 2.2),
            Mat.MACHINERY,
        )


def forecastle(bp: Blueprint, rng: Rng, own: Rng, x0: float, raised: float) -> None:
    """Fore deck with windlasses, mast, hatch and, on some ships, breakwater bars."""
    L, B = bp.length, bp.beam
    span = L - x0
    bp.box(x0, L, -B / 2, B / 2, raised, Mat.FOREDECK)
    for side in (-1, 1):
        bp.block(
            x0 + span * rng.uniform(0.3, 0.55),
            side * B * rng.uniform(0.1, 0.2),
            span * 0.25,
            B * 0.1,
            raised + 1.8,
            Mat.MACHINERY,
        )
        for _ in range(int(rng.integers(2, 5))):
            bp.block(
                x0 + span * rng.uniform(0.1, 0.75),
                side * B * rng.uniform(0.05, 0.3),
                rng.uniform(0.8, 2),
                rng.uniform(0.8, 2),
                raised + rng.uniform(0.6, 1.5),
                Mat.MACHINERY,
            )
    bp.block(
        x0 + span * rng.uniform(0.15, 0.6), 0, 1.0, 1.0, raised + rng.uniform(5, 11), Mat.CRANE
    )
    if rng.random() < 0.5:
        bp.block(
            x0 + span * rng.uniform(0.05, 0.3),
            B * rng.uniform(-0.25, 0.25),
            2.5,
            2.5,
            raised + 2.0,
            Mat.HOUSE,
        )
    if rng.random() < 0.35:
        bp.bar(x0 + 1, -B * 0.33, x0 + span * 0.35, 0, 0.8, raised + 1.6, Mat.COAMING)
        bp.bar(x0 + 1, B * 0.33, x0 + span * 0.35, 0, 0.8, raised + 1.6, Mat.COAMING)


def helipad(bp: Blueprint, rng: Rng, x: float, y: float, radius: float, top: float) -> None:
    """A painted landing or winching circle; flat, so the camera sees it and the radar hardly."""
    outer, inner = (Mat.YELLOW_MARK, Mat.DECK) if rng.random() < 0.6 else (Mat.WHITE_MARK, Mat.DECK)
    bp.disc(x, y, radius, top, outer)
    bp.disc(x, y, radius * 0.82, top, inner if rng.random() < 0.7 else Mat.HATCH)
    if rng.random() < 0.7:
        bp.disc(x, y, radius * 0.42, top, outer)
        bp.disc(x, y, radius * 0.25, top, inner)
    bp.disc(x, y, radius * 0.12, top, Mat.WHITE_MARK)


def deck_crane(
    bp: Blueprint, rng: Rng, x: float, y: float, jib: float, top: float, park: float
) -> None:
    """Crane post now; the jib is drawn per visit."""
    size = float(np.clip(bp.beam * rng.uniform(0.075, 0.12), 1.0, 4.0))
    bp.block(x, y, size, size, top, Mat.CRANE)
    bp.block(x, y, size * 1.5, size * 1.3, top * 0.9, Mat.CRANE)
    bp.cranes.append(Crane(x, y, top, size, jib, park))


def side_gear(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, density: float) -> None:
    """Vents, bollards, reels and lockers along the side decks; bright rows to the radar."""
    B = bp.beam
    count = int((x1 - x0) * density)
    for i in range(count):
        x = x0 + (x1 - x0) * (i + rng.uniform(0.1, 0.9)) / max(count, 1)
        side = pick(rng, (-1.0, 1.0))
        bp.block(
            x,
            side * B * rng.uniform(0.4, 0.47),
            rng.uniform(0.6, 2.2),
            rng.uniform(0.6, 1.4),
            rng.uniform(0.7, 2.0),
            Mat.MACHINERY,
        )
    for _ in range(int(own.integers(2, 7))):
        bp.block(
            own.uniform(x0, x1),
            pick(own, (-1, 1)) * B * own.uniform(0.36, 0.46),
            own.uniform(1, 4),
            own.uniform(0.8, 2),
            own.uniform(1, 2.6),
            pick(own, (Mat.MACHINERY, Mat.HOUSE, Mat.CARGO)),
        )


def rails(bp: Blueprint, rng: Rng, x0: float, x1: float) -> None:
    """Bulwark or rail posts at a constant pitch along both sides."""
    B = bp.beam
    pitch = float(rng.uniform(5, 12))
    for side in (-1, 1):
        for x in np.arange(x0, x1, pitch):
            bp.block(float(x), side * B * 0.485, 0.7, 0.7, 1.2, Mat.COAMING)
