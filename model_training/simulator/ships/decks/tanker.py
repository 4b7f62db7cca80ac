"""Deck of tankers for crude, products and chemicals; pipes and manifold serve gas carriers too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.fittings import Gear
from model_training.simulator.ships.decks.house import aft_house
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class PipeRanges:
    """Pipe runs along the centre line, their supports, and the walkway beside them."""

    half_width_m: float = 0.45
    top_m: float = 1.4
    step_m: float = 0.3  # every second pipe lies higher
    support_pitch_m: Range = (4.5, 9.0)
    support_length_m: float = 0.6
    support_more_m: float = 2.0  # wider than the run
    support_top_m: float = 1.2
    walkway_share: float = 0.6
    walkway_off_m: float = 1.5  # beside the run
    walkway_half_m: float = 0.5
    walkway_top_m: float = 2.6


@dataclass(frozen=True, slots=True)
class ManifoldRanges:
    """Pipes across the deck amidships, drip trays and hose cranes."""

    pipes: Counts = (3, 8)
    pitch_m: Range = (1.4, 2.6)
    pipe_m: float = 0.8
    width_of_b: float = 0.84
    top_m: float = 1.9
    tray_y_of_b: float = 0.4
    tray_more_m: float = 2.0  # longer than the row of pipes
    tray_width_of_b: float = 0.06
    tray_top_m: float = 1.6
    crane_top_m: Range = (7.0, 12.0)
    both_sides_share: float = 0.5
    crane_x_m: Range = (-4.0, 4.0)
    crane_y_of_b: Range = (0.1, 0.3)
    jib_of_b: float = 0.55
    jib_m: Range = (6.0, 20.0)


@dataclass(frozen=True, slots=True)
class TankRanges:
    """Hatches, vents and washing machines of each tank, and the frames that stiffen the deck."""

    fittings: Counts = (3, 7)  # per tank and side, in the same pattern on each tank
    fitting_x: Range = (0.05, 0.95)  # of the tank's length
    fitting_y_of_b: Range = (0.12, 0.42)
    fitting_m: Range = (0.5, 1.6)
    fitting_top_m: Range = (0.6, 2.0)
    bulkhead_m: float = 0.7
    bulkhead_width_of_b: float = 0.86
    bulkhead_top_m: float = 0.9
    outside_frames_share: float = 0.6  # frames stand on the outside of the plating
    frame_pitch_m: Range = (3.2, 5.2)
    frame_m: float = 0.5
    frame_width_of_b: float = 0.9
    frame_top_m: float = 0.7
    bright_frame_share: float = 0.5  # frames that throw the radar's pulse back
    own_materials: tuple[Mat, ...] = (Mat.MACHINERY, Mat.HOUSE)


@dataclass(frozen=True, slots=True)
class TankerRanges:
    """Crude, product or chemical tanker."""

    house_of_l: Range = (0.07, 0.12)
    forecastle_of_l: Range = (0.93, 0.955)
    forecastle_raised_m: tuple[float, ...] = (0.0, 2.4)
    clear_aft_of_l: float = 0.015
    clear_fore_of_l: float = 0.01
    tank_m: Range = (16.0, 32.0)
    tanks: Range = (3.0, 12.0)
    pipe_run_of_b: Range = (0.08, 0.22)
    pipes: Counts = (2, 6)
    manifold_of_deck: Range = (0.42, 0.58)
    gantry_share: float = 0.35
    gantry_of_deck: Range = (0.1, 0.9)
    gantry_m: float = 2.0
    gantry_width_of_b: float = 0.8
    gantry_top_m: float = 6.0
    helipad_share: float = 0.45
    helipad_of_deck: Range = (0.15, 0.85)
    helipad_y_of_b: float = 0.3
    helipad_radius_of_b: float = 0.13


PIPES = PipeRanges()
MANIFOLD = ManifoldRanges()
OWN_TANK_GEAR = Gear(
    count=(4, 11), y_of_b=(-0.42, 0.42), length_m=(0.8, 3.0), width_m=(0.8, 3.0), top_m=(1.0, 3.0)
)
TANKS = TankRanges()
TANKER = TankerRanges()


def tanker(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a crude, product or chemical tanker."""
    ship, L, B = TANKER, bp.length, bp.beam
    front = aft_house(bp, rng, own, L * uniform(rng, ship.house_of_l))
    fore = L * uniform(rng, ship.forecastle_of_l)
    fit.forecastle(bp, rng, fore, pick(rng, ship.forecastle_raised_m))
    x0, x1 = front + ship.clear_aft_of_l * L, fore - ship.clear_fore_of_l * L
    deck = x1 - x0
    tanks = int(np.clip(round(deck / uniform(rng, ship.tank_m)), *ship.tanks))
    _tank_fittings(bp, rng, own, x0, x1, tanks)
    pipes(bp, rng, x0, x1, B * uniform(rng, ship.pipe_run_of_b), whole(rng, ship.pipes))
    manifold(bp, rng, x0 + deck * uniform(rng, ship.manifold_of_deck))
    if chance(rng, ship.gantry_share):
        x = x0 + deck * uniform(rng, ship.gantry_of_deck)
        width = B * ship.gantry_width_of_b
        bp.block(x, 0.0, ship.gantry_m, width, ship.gantry_top_m, Mat.CRANE)
    fit.rails(bp, rng, x0, x1)
    if chance(own, ship.helipad_share):
        x = x0 + deck * uniform(own, ship.helipad_of_deck)
        y = pick(own, SIDES) * B * ship.helipad_y_of_b
        fit.helipad(bp, own, x, y, B * ship.helipad_radius_of_b, 0.0)


def pipes(bp: Blueprint, rng: Rng, x0: float, x1: float, run_width: float, count: int) -> None:
    """Add `count` pipes from x0 to x1 over a width of `run_width` metres, with their supports."""
    for i in range(count):
        y = (i / max(count - 1, 1) - 0.5) * run_width
        top = PIPES.top_m + PIPES.step_m * (i % 2)
        bp.box(x0, x1, y - PIPES.half_width_m, y + PIPES.half_width_m, top, Mat.PIPE)
    support = run_width + PIPES.support_more_m
    for x in np.arange(x0, x1, uniform(rng, PIPES.support_pitch_m)):
        bp.block(float(x), 0.0, PIPES.support_length_m, support, PIPES.support_top_m, Mat.MACHINERY)
    if chance(rng, PIPES.walkway_share):
        y, half = run_width / 2 + PIPES.walkway_off_m, PIPES.walkway_half_m
        bp.box(x0, x1, y - half, y + half, PIPES.walkway_top_m, Mat.COAMING)


def manifold(bp: Blueprint, rng: Rng, x: float) -> None:
    """Add the manifold at x: pipes across the deck to both sides, drip trays, hose cranes."""
    B, ranges = bp.beam, MANIFOLD
    count = whole(rng, ranges.pipes)
    pitch = uniform(rng, ranges.pitch_m)
    for i in range(count):
        pipe_x = x + (i - count / 2) * pitch
        bp.block(pipe_x, 0.0, ranges.pipe_m, B * ranges.width_of_b, ranges.top_m, Mat.PIPE)
    bp.pair(
        x,
        B * ranges.tray_y_of_b,
        count * pitch + ranges.tray_more_m,
        B * ranges.tray_width_of_b,
        ranges.tray_top_m,
        Mat.MACHINERY,
    )
    top = uniform(rng, ranges.crane_top_m)
    sides = SIDES if chance(rng, ranges.both_sides_share) else (pick(rng, SIDES),)
    for side in sides:
        park = pick(rng, (0.0, np.pi))
        fit.deck_crane(
            bp,
            rng,
            x + uniform(rng, ranges.crane_x_m),
            side * B * uniform(rng, ranges.crane_y_of_b),
            float(np.clip(B * ranges.jib_of_b, *ranges.jib_m)),
            top,
            park,
        )


def _tank_fittings(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, tanks: int) -> None:
    """Add the fittings of each tank in one pattern, the deck's frames, and this ship's own gear."""
    B, ranges = bp.beam, TANKS
    pitch = (x1 - x0) / tanks
    pattern = [
        (
            uniform(rng, ranges.fitting_x),
            uniform(rng, ranges.fitting_y_of_b),
            uniform(rng, ranges.fitting_m),
            uniform(rng, ranges.fitting_top_m),
        )
        for _ in range(whole(rng, ranges.fittings))
    ]
    bulkhead_width = B * ranges.bulkhead_width_of_b
    for i in range(tanks):
        start = x0 + i * pitch
        for x, y, size, top in pattern:
            bp.pair(start + x * pitch, y * B, size, size, top, Mat.MACHINERY)
        bp.block(start, 0.0, ranges.bulkhead_m, bulkhead_width, ranges.bulkhead_top_m, Mat.COAMING)
    if chance(rng, ranges.outside_frames_share):
        width = B * ranges.frame_width_of_b
        for x in np.arange(x0, x1, uniform(rng, ranges.frame_pitch_m)):
            material = Mat.MACHINERY if chance(rng, ranges.bright_frame_share) else Mat.COAMING
            bp.block(float(x), 0.0, ranges.frame_m, width, ranges.frame_top_m, material)
    fit.scatter(bp, own, OWN_TANK_GEAR, (x0, x1), materials=ranges.own_materials)
