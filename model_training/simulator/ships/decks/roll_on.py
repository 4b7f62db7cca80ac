"""Decks of car carriers and of freight ro-ro ships."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Size
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.fittings import Gear
from model_training.simulator.ships.decks.house import aft_house
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class RoofGearRanges:
    """Vents in rows and boxes of all sizes on a flat roof; heights are above it."""

    rows: Counts = (1, 3)
    row_y_of_b: Range = (-0.4, 0.4)
    pitch_m: Range = (6.0, 20.0)
    size_m: Range = (1.0, 3.5)
    row_offset_m: float = 2.0  # each row starts this much further forward
    top_m: Range = (0.8, 2.2)
    own_materials: tuple[Mat, ...] = (Mat.MACHINERY, Mat.HOUSE, Mat.HOLD)
    duct_share: float = 0.5
    duct_y_of_b: float = 0.2
    duct_width_m: float = 1.0
    duct_top_m: float = 0.8


@dataclass(frozen=True, slots=True)
class CarCarrierRanges:
    """A box with a flat roof: bridge forward, funnel aft."""

    roof_end_of_l: float = 0.955
    roof_top_m: float = 0.6
    gear_of_l: Range = (0.04, 0.8)
    bridge_of_l: Range = (0.84, 0.9)
    bridge_m: float = 7.0
    bridge_top_m: float = 4.5
    cabins_m: float = 14.0  # behind the bridge
    cabins_half_of_b: float = 0.3
    cabins_top_m: float = 3.4
    mast_fore_m: float = 3.0
    mast_m: Size = (1.0, 1.2, 11.0)
    mooring_deck_top_m: float = -6.0  # the fore deck lies below the roof
    funnel_of_l: float = 0.12
    funnel_y_of_b: tuple[float, ...] = (0.0, 0.25, -0.25)
    funnel_m: Size = (8.0, 6.0, 8.5)
    vents_of_l: Range = (0.1, 0.85)
    vent_pitch_m: Range = (8.0, 16.0)  # drawn for either side
    vent_y_of_b: float = 0.46
    vent_m: Size = (2.2, 1.6, 2.0)
    helipad_share: float = 0.5
    helipad_of_l: Range = (0.3, 0.7)
    helipad_radius_of_b: float = 0.2
    helipad_top_m: float = 0.65


@dataclass(frozen=True, slots=True)
class RoRoRanges:
    """Freight ro-ro: weather deck with trailers, house forward or aft, stern ramp."""

    house_forward_share: float = 0.55
    ramp_of_l: float = 0.03
    ramp_half_of_b: float = 0.35
    ramp_top_m: float = 2.0
    forecastle_of_l: float = 0.93
    forecastle_raised_m: float = 2.4
    forward_house_of_l: Range = (0.74, 0.9)  # from here to there
    forward_house_half_of_b: float = 0.48
    forward_house_top_m: float = 9.0
    forward_bridge_of_l: Range = (0.86, 0.89)  # from here to there
    forward_bridge_half_of_b: float = 0.5
    forward_bridge_top_m: float = 14.0
    deck_before_house_of_l: Range = (0.06, 0.73)  # from here to there
    aft_house_of_l: float = 0.12
    deck_clear_aft_m: float = 2.0
    deck_end_of_l: float = 0.92
    funnel_of_l: float = 0.2
    funnel_y_of_b: float = 0.44
    funnel_length_of_l: float = 0.08
    funnel_width_of_b: float = 0.1
    funnel_top_m: float = 10.0
    roof_share: float = 0.5  # a roof over the fore part of the deck
    roof_start_of_deck: Range = (0.3, 0.5)
    roof_half_of_b: float = 0.48
    roof_top_m: float = 5.5
    cargo_half_of_b: float = 0.42
    side_gear_per_m: float = 0.1


OWN_ROOF_GEAR = Gear(
    count=(3, 9), y_of_b=(-0.4, 0.4), length_m=(1.5, 9.0), width_m=(1.5, 5.0), top_m=(0.8, 3.5)
)
ROOF_GEAR = RoofGearRanges()
CAR_CARRIER = CarCarrierRanges()
RO_RO = RoRoRanges()


def car_carrier(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a car carrier; the height of its deck is that of the roof."""
    ship, L, B = CAR_CARRIER, bp.length, bp.beam
    bp.across(0.0, L * ship.roof_end_of_l, B / 2, ship.roof_top_m, Mat.ROOF)
    gear_x0, gear_x1 = ship.gear_of_l
    _roof_gear(bp, rng, own, L * gear_x0, L * gear_x1, ship.roof_top_m)
    x = L * uniform(rng, ship.bridge_of_l)
    bp.across(x, x + ship.bridge_m, B / 2, ship.bridge_top_m, Mat.HOUSE)
    cabins_half = B * ship.cabins_half_of_b
    bp.across(x - ship.cabins_m, x, cabins_half, ship.cabins_top_m, Mat.HOUSE_ROOF)
    bp.block(x + ship.mast_fore_m, 0.0, *ship.mast_m, Mat.CRANE)
    bp.across(L * ship.roof_end_of_l, L, B / 2, ship.mooring_deck_top_m, Mat.FOREDECK)
    funnel_y = pick(rng, ship.funnel_y_of_b) * B
    bp.block(L * ship.funnel_of_l, funnel_y, *ship.funnel_m, Mat.FUNNEL)
    vents_x0, vents_x1 = ship.vents_of_l
    for side in SIDES:
        y = side * B * ship.vent_y_of_b
        for vent in np.arange(L * vents_x0, L * vents_x1, uniform(rng, ship.vent_pitch_m)):
            bp.block(float(vent), y, *ship.vent_m, Mat.MACHINERY)
    if chance(own, ship.helipad_share):
        x, radius = L * uniform(own, ship.helipad_of_l), B * ship.helipad_radius_of_b
        fit.helipad(bp, own, x, 0.0, radius, ship.helipad_top_m)


def _roof_gear(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, base: float) -> None:
    """Add vents in rows, boxes and a duct between x0 and x1 on a roof of height `base`."""
    B, gear = bp.beam, ROOF_GEAR
    for row in range(whole(rng, gear.rows)):
        y = uniform(rng, gear.row_y_of_b) * B
        pitch, size = uniform(rng, gear.pitch_m), uniform(rng, gear.size_m)
        for x in np.arange(x0 + gear.row_offset_m * row, x1, pitch):
            bp.block(float(x), y, size, size, base + uniform(rng, gear.top_m), Mat.MACHINERY)
    fit.scatter(bp, own, OWN_ROOF_GEAR, (x0, x1), base_m=base, materials=gear.own_materials)
    if chance(rng, gear.duct_share):
        y = B * gear.duct_y_of_b
        bp.box(x0, x1, y, y + gear.duct_width_m, base + gear.duct_top_m, Mat.COAMING)


def ro_ro(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a freight ro-ro with an open deck for trailers."""
    ship, L, B = RO_RO, bp.length, bp.beam
    forward = chance(rng, ship.house_forward_share)
    bp.across(0.0, L * ship.ramp_of_l, B * ship.ramp_half_of_b, ship.ramp_top_m, Mat.CRANE)
    fit.forecastle(bp, rng, L * ship.forecastle_of_l, ship.forecastle_raised_m)
    if forward:
        x0, x1 = ship.forward_house_of_l
        half = B * ship.forward_house_half_of_b
        bp.across(L * x0, L * x1, half, ship.forward_house_top_m, Mat.HOUSE_ROOF)
        x0, x1 = ship.forward_bridge_of_l
        half = B * ship.forward_bridge_half_of_b
        bp.across(L * x0, L * x1, half, ship.forward_bridge_top_m, Mat.HOUSE)
        deck_x0, deck_x1 = (L * x for x in ship.deck_before_house_of_l)
    else:
        front = aft_house(bp, rng, own, L * ship.aft_house_of_l)
        deck_x0, deck_x1 = front + ship.deck_clear_aft_m, L * ship.deck_end_of_l
    bp.pair(
        L * ship.funnel_of_l,
        B * ship.funnel_y_of_b,
        L * ship.funnel_length_of_l,
        B * ship.funnel_width_of_b,
        ship.funnel_top_m,
        Mat.FUNNEL,
    )
    if chance(rng, ship.roof_share):
        start = uniform(rng, ship.roof_start_of_deck) * (deck_x1 - deck_x0) + deck_x0
        bp.across(start, deck_x1, B * ship.roof_half_of_b, ship.roof_top_m, Mat.ROOF)
        _roof_gear(bp, rng, own, start, deck_x1, ship.roof_top_m)
        deck_x1 = start
    bp.cargo_deck = (deck_x0, deck_x1, B * ship.cargo_half_of_b)
    fit.side_gear(bp, rng, own, deck_x0, deck_x1, ship.side_gear_per_m)
