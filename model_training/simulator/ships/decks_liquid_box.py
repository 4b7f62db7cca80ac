"""Decks of tankers, gas carriers, container ships and roll-on ships."""

from __future__ import annotations

import numpy as np

from model_training.simulator.ships import fittings as fit
from model_training.simulator.ships.blueprint import Bay, Blueprint
from model_training.simulator.ships.materials import Material as Mat

Rng = np.random.Generator


def _pipes(bp: Blueprint, rng: Rng, x0: float, x1: float, trunk: float, lines: int) -> None:
    """Pipe runs along the centre line with supports at a constant pitch."""
    for i in range(lines):
        y = (i / max(lines - 1, 1) - 0.5) * trunk
        bp.box(x0, x1, y - 0.45, y + 0.45, 1.4 + 0.3 * (i % 2), Mat.PIPE)
    pitch = float(rng.uniform(4.5, 9.0))
    for x in np.arange(x0, x1, pitch):
        bp.block(float(x), 0, 0.6, trunk + 2, 1.2, Mat.MACHINERY)
    if rng.random() < 0.6:
        y = trunk / 2 + 1.5
        bp.box(x0, x1, y - 0.5, y + 0.5, 2.6, Mat.COAMING)


def _manifold(bp: Blueprint, rng: Rng, own: Rng, x: float) -> None:
    """Midship manifold: pipes across the deck to both sides, drip trays, hose cranes."""
    B = bp.beam
    count = int(rng.integers(3, 9))
    pitch = float(rng.uniform(1.4, 2.6))
    for i in range(count):
        bp.block(x + (i - count / 2) * pitch, 0, 0.8, B * 0.84, 1.9, Mat.PIPE)
    for side in (-1, 1):
        bp.block(x, side * B * 0.4, count * pitch + 2, B * 0.06, 1.6, Mat.MACHINERY)
    post = float(rng.uniform(7, 12))
    sides: tuple[float, ...] = (-1.0, 1.0) if rng.random() < 0.5 else (float(rng.choice([-1, 1])),)
    for y in sides:
        park = float(rng.choice([0.0, np.pi]))
        fit.deck_crane(
            bp,
            rng,
            x + float(rng.uniform(-4, 4)),
            y * B * float(rng.uniform(0.1, 0.3)),
            float(np.clip(B * 0.55, 6, 20)),
            post,
            park,
        )


def _tank_fittings(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, tanks: int) -> None:
    """Per tank: hatch, vents, washing machines, and the frames that stiffen the deck."""
    B = bp.beam
    pitch = (x1 - x0) / tanks
    pattern = [
        (
            float(rng.uniform(0.05, 0.95)),
            float(rng.uniform(0.12, 0.42)),
            float(rng.uniform(0.5, 1.6)),
            float(rng.uniform(0.6, 2.0)),
        )
        for _ in range(int(rng.integers(3, 8)))
    ]
    for i in range(tanks):
        start = x0 + i * pitch
        for at, y, size, top in pattern:
            for side in (-1, 1):
                bp.block(start + at * pitch, side * y * B, size, size, top, Mat.MACHINERY)
        bp.block(start, 0, 0.7, B * 0.86, 0.9, Mat.COAMING)
    if rng.random() < 0.6:  # deck frames stand on the outside of the plating
        frame = float(rng.uniform(3.2, 5.2))
        for x in np.arange(x0, x1, frame):
            bp.block(
                float(x), 0, 0.5, B * 0.9, 0.7, Mat.MACHINERY if rng.random() < 0.5 else Mat.COAMING
            )
    for _ in range(int(own.integers(4, 12))):
        bp.block(
            own.uniform(x0, x1),
            own.uniform(-0.42, 0.42) * B,
            own.uniform(0.8, 3),
            own.uniform(0.8, 3),
            own.uniform(1, 3),
            own.choice(np.array([Mat.MACHINERY, Mat.HOUSE])),
        )


def tanker(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Crude, product or chemical tanker."""
    L, B = bp.length, bp.beam
    front = fit.aft_house(bp, rng, own, L * float(rng.uniform(0.07, 0.12)))
    fore = L * float(rng.uniform(0.93, 0.955))
    fit.forecastle(bp, rng, own, fore, float(rng.choice([0.0, 2.4])))
    x0, x1 = front + 0.015 * L, fore - 0.01 * L
    tanks = int(np.clip(round((x1 - x0) / rng.uniform(16, 32)), 3, 12))
    _tank_fittings(bp, rng, own, x0, x1, tanks)
    _pipes(bp, rng, x0, x1, B * float(rng.uniform(0.08, 0.22)), int(rng.integers(2, 7)))
    _manifold(bp, rng, own, x0 + (x1 - x0) * float(rng.uniform(0.42, 0.58)))
    if rng.random() < 0.35:
        bp.block(x0 + (x1 - x0) * float(rng.uniform(0.1, 0.9)), 0, 2, B * 0.8, 6, Mat.CRANE)
    fit.rails(bp, rng, x0, x1)
    if own.random() < 0.45:
        at = x0 + (x1 - x0) * float(own.uniform(0.15, 0.85))
        fit.helipad(bp, own, at, float(own.choice([-1, 1])) * B * 0.3, B * 0.13, 0.0)


def lng(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Gas carrier: four or five spheres, or a long trunk over membrane tanks."""
    L, B = bp.length, bp.beam
    front = fit.aft_house(bp, rng, own, L * float(rng.uniform(0.08, 0.11)))
    fore = L * 0.93
    fit.forecastle(bp, rng, own, fore, 1.5)
    x0, x1 = front + 0.01 * L, fore - 0.01 * L
    if rng.random() < 0.45:
        count = int(rng.integers(4, 6))
        pitch = (x1 - x0) / count
        radius = min(pitch * 0.46, B * 0.44)
        for i in range(count):
            x = x0 + (i + 0.5) * pitch
            bp.disc(x, 0, radius * 1.04, 4.0, Mat.COAMING)
            bp.disc(x, 0, radius, radius * 0.95, Mat.TANK, dome=True)
            bp.block(x, 0, 4, 3, radius + 1.5, Mat.MACHINERY)
        bp.box(x0, x1, -1.2, 1.2, radius * 1.02, Mat.PIPE)
    else:
        half = B * float(rng.uniform(0.3, 0.42))
        bp.box(x0, x1, -half, half, 6.0, Mat.TANK)
        for i in range(4):
            x = x0 + (x1 - x0) * (i + float(rng.uniform(0.3, 0.7))) / 4
            bp.disc(x, 0, 3.0, 9.0, Mat.MACHINERY)
            bp.block(x + 6, B * 0.1, 3, 5, 8.0, Mat.MACHINERY)
        bp.box(x0, x1, half * 0.1, half * 0.1 + 2.5, 8.2, Mat.PIPE)
        bp.block(x0 + 10, B * 0.3, 14, 8, 10, Mat.HOUSE_ROOF)
    _manifold(bp, rng, own, x0 + (x1 - x0) * float(rng.uniform(0.4, 0.6)))
    fit.side_gear(bp, rng, own, x0, x1, 0.08)


def lpg(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Gas carrier with deck tanks, domes and a compressor house."""
    L, B = bp.length, bp.beam
    front = fit.aft_house(bp, rng, own, L * float(rng.uniform(0.08, 0.12)))
    fore = L * 0.93
    fit.forecastle(bp, rng, own, fore, 2.2)
    x0, x1 = front + 0.015 * L, fore - 0.01 * L
    tanks = int(rng.integers(3, 5))
    for i in range(tanks):
        x = x0 + (x1 - x0) * (i + 0.5) / tanks
        bp.disc(x, 0, B * 0.1, 3.5, Mat.TANK)
        bp.block(x + 3, B * 0.08, 2, 3, 4.5, Mat.MACHINERY)
    if rng.random() < 0.8:
        at = x0 + (x1 - x0) * float(rng.uniform(0.15, 0.85))
        for side in (-1, 1) if rng.random() < 0.5 else (1,):
            y, size = side * B * 0.27, L * 0.09
            bp.box(at, at + size, y - B * 0.08, y + B * 0.08, 5.5, Mat.TANK)
    bp.block(
        x0 + (x1 - x0) * float(rng.uniform(0.3, 0.7)),
        -B * 0.28,
        L * 0.07,
        B * 0.22,
        5,
        Mat.HOUSE_ROOF,
    )
    _pipes(bp, rng, x0, x1, B * 0.12, int(rng.integers(3, 6)))
    _manifold(bp, rng, own, (x0 + x1) / 2)
    fit.rails(bp, rng, x0, x1)


def container(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Cellular container ship: bays of 40 ft between lashing bridges; one house or two islands."""
    L, B = bp.length, bp.beam
    twin = L > 330 and rng.random() < 0.7
    place = float(rng.uniform(0.07, 0.12)) if L < 190 else float(rng.choice([0.1, 0.2, 0.28, 0.3]))
    place = 0.62 if twin else place
    depth = float(np.clip(0.045 * L, 7, 16))
    house0 = L * place
    height = float(np.interp(L, [100, 200, 300, 400], [13, 20, 28, 32]))
    fore = L * float(rng.uniform(0.92, 0.945))
    fit.forecastle(bp, rng, own, fore, 2.6)
    bp.block(fore - 1, 0, 1.0, B * 0.9, 5.0, Mat.COAMING)
    if twin or place > 0.15:
        stack = L * float(rng.uniform(0.22, 0.3)) if twin else max(house0 - 6, 0.05 * L)
        bp.block(stack, 0, 9, B * 0.45, height * 0.7, Mat.HOUSE_ROOF)
        bp.block(stack, 0, 6, B * 0.22, height * 0.9, Mat.FUNNEL)
    else:
        stack = house0 - 5
        bp.block(stack, 0, 6, B * 0.25, height, Mat.FUNNEL)
    half = B * float(rng.uniform(0.3, 0.46))
    bp.box(house0, house0 + depth, -half, half, height, Mat.HOUSE_ROOF)
    bp.box(house0 + depth - 3.5, house0 + depth, -B / 2, B / 2, height + 0.5, Mat.HOUSE)
    bp.block(house0 + depth * 0.6, 0, 3, half, height + 3, Mat.HOUSE)
    bp.block(house0 + depth * 0.5, 0, 1, 1.2, height + 10, Mat.CRANE)
    gap = float(rng.uniform(1.2, 2.6))
    pitch = 12.3 + gap
    half_width = (B * 0.985 // 2.5) * 2.5 / 2
    bridge = float(rng.choice([2.6, 5.2, 7.8])) if L > 180 else 2.0
    x = L * 0.02
    while x + 12.3 < fore - 1.5:
        blocked = (house0 - gap < x + 12.3 and x < house0 + depth + gap) or (
            abs(x + 6.15 - stack) < 6.15 + 5.5
        )
        if blocked:
            x += 1.0
            continue
        narrow = float(np.interp(x / L, [0.0, 0.06, 0.75, 0.93], [0.9, 1.0, 1.0, 0.62]))
        width = (half_width * narrow // 1.25) * 1.25
        bp.box(x, x + 12.3, -width, width, 1.6, Mat.HATCH)
        bp.block(x - gap / 2, 0, 0.9, 2 * width, bridge, Mat.MACHINERY)
        tiers = round(
            float(np.interp(L, [100, 200, 300, 400], [3, 5, 7, 9])) * (0.75 + 0.25 * narrow)
        )
        bp.bays.append(Bay(x, x + 12.3, width, 1.6, max(tiers, 1)))
        x += pitch
    if L < 220 and rng.random() < 0.35:
        for at in (0.42, 0.68):
            side = float(rng.choice([-1.0, 1.0])) * B * 0.44
            fit.deck_crane(bp, rng, L * at, side, 24, 18, 0.0)


def car_carrier(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """A box with a flat roof: vents in rows, bridge forward, funnel aft, sometimes a helipad."""
    L, B = bp.length, bp.beam
    bp.box(0, L * 0.955, -B / 2, B / 2, 0.6, Mat.ROOF)
    _roof_gear(bp, rng, own, L * 0.04, L * 0.8, 0.6)
    at = L * float(rng.uniform(0.84, 0.9))
    bp.box(at, at + 7, -B / 2, B / 2, 4.5, Mat.HOUSE)
    bp.box(at - 14, at, -B * 0.3, B * 0.3, 3.4, Mat.HOUSE_ROOF)
    bp.block(at + 3, 0, 1, 1.2, 11, Mat.CRANE)
    bp.box(L * 0.955, L, -B / 2, B / 2, -6.0, Mat.FOREDECK)
    bp.block(L * 0.12, float(rng.choice([0.0, 0.25, -0.25])) * B, 8, 6, 8.5, Mat.FUNNEL)
    for side in (-1, 1):
        for x in np.arange(L * 0.1, L * 0.85, float(rng.uniform(8, 16))):
            bp.block(float(x), side * B * 0.46, 2.2, 1.6, 2.0, Mat.MACHINERY)
    if own.random() < 0.5:
        fit.helipad(bp, own, L * float(own.uniform(0.3, 0.7)), 0, B * 0.2, 0.65)


def _roof_gear(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, base: float) -> None:
    B = bp.beam
    for row in range(int(rng.integers(1, 4))):
        y = float(rng.uniform(-0.4, 0.4)) * B
        pitch, size = float(rng.uniform(6, 20)), float(rng.uniform(1, 3.5))
        for x in np.arange(x0 + 2 * row, x1, pitch):
            bp.block(float(x), y, size, size, base + float(rng.uniform(0.8, 2.2)), Mat.MACHINERY)
    for _ in range(int(own.integers(3, 10))):
        bp.block(
            own.uniform(x0, x1),
            own.uniform(-0.4, 0.4) * B,
            own.uniform(1.5, 9),
            own.uniform(1.5, 5),
            base + own.uniform(0.8, 3.5),
            own.choice(np.array([Mat.MACHINERY, Mat.HOUSE, Mat.HOLD])),
        )
    if rng.random() < 0.5:
        bp.box(x0, x1, B * 0.2, B * 0.2 + 1.0, base + 0.8, Mat.COAMING)


def ro_ro(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Freight ro-ro: weather deck with trailers, house forward or aft, stern ramp."""
    L, B = bp.length, bp.beam
    forward = rng.random() < 0.55
    bp.box(0, L * 0.03, -B * 0.35, B * 0.35, 2.0, Mat.CRANE)
    fit.forecastle(bp, rng, own, L * 0.93, 2.4)
    if forward:
        bp.box(L * 0.74, L * 0.9, -B * 0.48, B * 0.48, 9.0, Mat.HOUSE_ROOF)
        bp.box(L * 0.86, L * 0.89, -B * 0.5, B * 0.5, 14.0, Mat.HOUSE)
        deck = (L * 0.06, L * 0.73)
    else:
        front = fit.aft_house(bp, rng, own, L * 0.12)
        deck = (front + 2, L * 0.92)
    for side in (-1, 1):
        bp.block(L * 0.2, side * B * 0.44, L * 0.08, B * 0.1, 10.0, Mat.FUNNEL)
    if rng.random() < 0.5:
        start = float(rng.uniform(0.3, 0.5)) * (deck[1] - deck[0]) + deck[0]
        bp.box(start, deck[1], -B * 0.48, B * 0.48, 5.5, Mat.ROOF)
        _roof_gear(bp, rng, own, start, deck[1], 5.5)
        deck = (deck[0], start)
    bp.cargo_deck = (deck[0], deck[1], B * 0.42)
    fit.side_gear(bp, rng, own, deck[0], deck[1], 0.1)
