"""Deck of a passenger ferry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Range, Rng, chance, uniform
from model_training.simulator.ships.blueprint import Blueprint
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.fittings import Gear
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class FerryRanges:
    """Stepped houses over most of the length, one or two funnels, boats in rows."""

    aft_of_l: Range = (0.03, 0.12)
    fore_of_l: Range = (0.86, 0.93)
    deck_per_length_m: float = 35.0  # one deck for each 35 m of ship
    decks: Range = (1.0, 4.0)
    deck_m: float = 3.0
    deck_half_of_b: float = 0.48
    step_aft_of_l: Range = (0.02, 0.12)  # each deck begins this much further forward
    step_fore_of_l: Range = (0.01, 0.05)
    forecastle_raised_m: float = 1.0
    bridge_of_l: float = 0.04
    bridge_m: float = 3.0
    two_funnels_share: float = 0.4
    two_funnels_y_of_b: tuple[float, ...] = (-0.2, 0.2)
    funnel_of_l: Range = (0.2, 0.4)
    funnel_length_of_l: float = 0.05
    funnel_width_of_b: float = 0.14
    funnel_above_m: float = 8.0
    boat_per_length_m: float = 30.0  # a pair of boats for each 30 m of ship
    boat_pairs: Range = (1.0, 7.0)
    boat_y_of_b: float = 0.45
    boat_length_m: float = 7.0
    boat_width_m: float = 2.6
    boat_above_m: float = 2.0
    roof_materials: tuple[Mat, ...] = (Mat.MACHINERY, Mat.HOUSE)
    mast_aft_of_l: float = 0.06  # behind the bridge's front
    mast_m: float = 1.0
    mast_above_m: float = 10.0
    helipad_share: float = 0.35
    helipad_of_aft: float = 0.7  # of the x at which the uppermost deck begins
    helipad_radius_of_b: float = 0.28
    helipad_below_m: float = 2.5


ROOF_GEAR = Gear(
    count=(6, 15), y_of_b=(-0.35, 0.35), length_m=(1.5, 8.0), width_m=(1.5, 5.0), top_m=(0.7, 3.0)
)
FERRY = FerryRanges()


def ferry(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a passenger ferry."""
    ship, L, B = FERRY, bp.length, bp.beam
    aft, fore = L * uniform(rng, ship.aft_of_l), L * uniform(rng, ship.fore_of_l)
    decks = int(np.clip(L / ship.deck_per_length_m, *ship.decks))
    fit.forecastle(bp, rng, fore, ship.forecastle_raised_m)
    for i in range(decks):
        material = Mat.ROOF if i == decks - 1 else Mat.HOUSE
        bp.across(aft, fore, B * ship.deck_half_of_b, ship.deck_m * (i + 1), material)
        aft += L * uniform(rng, ship.step_aft_of_l)
        fore -= L * uniform(rng, ship.step_fore_of_l)
    top = ship.deck_m * decks
    bp.across(fore - L * ship.bridge_of_l, fore, B / 2, top + ship.bridge_m, Mat.HOUSE)
    for y in ship.two_funnels_y_of_b if chance(rng, ship.two_funnels_share) else (0.0,):
        bp.block(
            L * uniform(rng, ship.funnel_of_l),
            y * B,
            L * ship.funnel_length_of_l,
            B * ship.funnel_width_of_b,
            top + ship.funnel_above_m,
            Mat.FUNNEL,
        )
    pairs = int(np.clip(L / ship.boat_per_length_m, *ship.boat_pairs))
    for i in range(pairs):
        bp.pair(
            aft + (fore - aft) * (i + 0.5) / pairs,
            B * ship.boat_y_of_b,
            ship.boat_length_m,
            ship.boat_width_m,
            top + ship.boat_above_m,
            Mat.BOAT,
        )
    fit.scatter(bp, rng, ROOF_GEAR, (aft, fore), base_m=top, materials=ship.roof_materials)
    mast_x = fore - L * ship.mast_aft_of_l
    bp.block(mast_x, 0.0, ship.mast_m, ship.mast_m, top + ship.mast_above_m, Mat.CRANE)
    if chance(own, ship.helipad_share):
        radius, pad_top = B * ship.helipad_radius_of_b, top - ship.helipad_below_m
        fit.helipad(bp, own, aft * ship.helipad_of_aft, 0.0, radius, pad_top)
