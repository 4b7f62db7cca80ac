"""Deck of a coaster or multi-purpose ship."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import Blueprint
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.hatches import hatch_row, main_deck


@dataclass(frozen=True, slots=True)
class GeneralCargoRanges:
    """Few wide hatches, cranes at the side or between them, house aft."""

    house_of_l: Range = (0.07, 0.12)
    one_hatch_below_m: float = 85.0  # shorter ships may have a single hatch
    one_hatch_share: float = 0.6
    hatches: Counts = (2, 4)
    hatch_width_of_b: Range = (0.62, 0.86)
    side_gear_per_m: float = 0.15
    coaster_up_to_m: float = 90.0
    coaster_cranes_share: float = 0.25
    cranes_share: float = 0.75
    crane_sides: tuple[float, ...] = (-1.0, 1.0, 0.0)  # port, starboard, between the hatches
    cranes: Counts = (2, 3)
    crane_x_more_m: Range = (-3.0, 3.0)
    crane_after_hatch_m: float = 2.0
    crane_y_of_b: float = 0.44
    jib_of_pitch: float = 0.75  # of the deck's length per crane
    crane_top_m: Range = (9.0, 16.0)
    deck_cargo_share: float = 0.4  # cargo stowed on one of the hatches
    deck_cargo_half: float = 0.45  # of the hatch's width


GENERAL_CARGO = GeneralCargoRanges()


def general_cargo(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a coaster or multi-purpose ship."""
    ship, L, B = GENERAL_CARGO, bp.length, bp.beam
    x0, x1 = main_deck(bp, rng, own, ship.house_of_l)
    one_hatch = ship.one_hatch_below_m > L and chance(rng, ship.one_hatch_share)
    count = 1 if one_hatch else whole(rng, ship.hatches)
    width = B * uniform(rng, ship.hatch_width_of_b)
    spans = hatch_row(bp, rng, own, x0, x1, count, width)
    fit.side_gear(bp, rng, own, x0, x1, ship.side_gear_per_m)
    coaster = ship.coaster_up_to_m > L
    if chance(rng, ship.coaster_cranes_share if coaster else ship.cranes_share):
        _cranes(bp, rng, x0, x1, spans)
    if chance(rng, ship.deck_cargo_share):
        start, end = pick(rng, spans)
        bp.cargo_deck = (start, end, width * ship.deck_cargo_half)


def _cranes(
    bp: Blueprint, rng: Rng, x0: float, x1: float, spans: list[tuple[float, float]]
) -> None:
    ship = GENERAL_CARGO
    side = pick(rng, ship.crane_sides)
    count = whole(rng, ship.cranes) if bp.length > ship.coaster_up_to_m else 1
    for i in range(count):
        x = x0 + (x1 - x0) * (i + 0.5) / count + uniform(rng, ship.crane_x_more_m)
        if side == 0.0 and len(spans) > 1:
            x = spans[min(i, len(spans) - 2)][1] + ship.crane_after_hatch_m
        fit.deck_crane(
            bp,
            rng,
            x,
            side * bp.beam * ship.crane_y_of_b,
            (x1 - x0) / count * ship.jib_of_pitch,
            uniform(rng, ship.crane_top_m),
            park=0.0 if i == 0 else np.pi,
        )
