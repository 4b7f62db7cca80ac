"""Decks of offshore supply ships, fishing vessels and tugs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Size
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.fittings import Gear
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class OffshoreRanges:
    """Supply ship: house forward, long open cargo deck aft with crash rails."""

    house_of_l: Range = (0.58, 0.68)
    house_end_of_l: float = 0.93
    house_half_of_b: float = 0.46
    house_top_m: float = 3.5
    upper_aft_of_l: float = 0.04  # before the house's aft end
    upper_end_of_l: float = 0.88
    upper_half_of_b: float = 0.38
    upper_top_m: float = 9.0
    bridge_of_l: tuple[float, float] = (0.1, 0.2)  # from here to there, before the house's aft end
    bridge_half_of_b: float = 0.42
    bridge_top_m: float = 13.0
    funnel_fore_m: float = 2.0
    funnel_y_of_b: float = 0.4
    funnel_m: Size = (4.0, 2.0, 11.0)
    crash_rail_of_l: float = 0.05
    crash_rail_y_of_b: tuple[float, float] = (0.46, 0.42)  # outer and inner side
    crash_rail_top_m: float = 3.0
    mast_of_l: float = 0.15
    mast_m: Size = (1.0, 1.0, 21.0)
    helipad_share: float = 0.4  # over the bow, else a forecastle
    helipad_of_l: float = 0.88
    helipad_radius_of_b: float = 0.36
    helipad_top_m: float = 10.0
    forecastle_of_l: float = 0.9
    forecastle_raised_m: float = 4.0
    crane_share: float = 0.5
    crane_aft_m: float = 4.0  # behind the house
    crane_y_of_b: float = 0.36
    jib_of_l: float = 0.2
    crane_top_m: float = 9.0
    cargo_of_l: float = 0.06
    cargo_clear_m: float = 3.0  # behind the house
    cargo_half_of_b: float = 0.38


@dataclass(frozen=True, slots=True)
class FishingRanges:
    """Trawler or seiner: house forward or aft, gallows, net drums, boom."""

    house_of_l: tuple[float, ...] = (0.2, 0.5, 0.62)
    house_length_of_l: Range = (0.15, 0.26)
    house_half_of_b: float = 0.4
    house_top_m: float = 3.0
    forecastle_of_l: float = 0.86
    forecastle_raised_m: float = 1.8
    bridge_of_house: tuple[float, float] = (0.35, 0.8)  # from here to there
    bridge_half_of_b: float = 0.3
    bridge_top_m: float = 6.0
    mast_of_house: float = 0.3
    mast_m: Size = (0.8, 0.8, 12.0)
    funnel_of_house: float = 0.1
    funnel_y_of_b: float = 0.2
    funnel_m: Size = (2.0, 1.5, 6.0)
    gallows_of_l: float = 0.05
    gallows_m: float = 1.2
    gallows_width_of_b: float = 0.8
    gallows_top_m: float = 6.0
    drum_of_l: Range = (0.1, 0.16)
    drum_m: float = 2.0
    drum_width_of_b: float = 0.5
    drum_top_m: float = 2.0
    gear_of_l: Range = (0.1, 0.85)
    boom_share: float = 0.6
    boom_of_l: float = 0.25
    boom_tip_y_of_b: Range = (-0.2, 0.2)
    boom_width_m: float = 0.7
    boom_top_m: float = 6.0
    side_gear_of_l: tuple[float, float] = (0.1, 0.85)  # from here to there
    side_gear_per_m: float = 0.2


@dataclass(frozen=True, slots=True)
class TugRanges:
    """Harbour tug: house forward of the middle, towing winch, two funnels."""

    house_of_l: Range = (0.42, 0.52)
    house_length_of_l: float = 0.3
    house_half_of_b: float = 0.3
    house_top_m: float = 3.0
    bridge_of_l: tuple[float, float] = (0.1, 0.24)  # from here to there, before the house's aft end
    bridge_half_of_b: float = 0.22
    bridge_top_m: float = 7.0
    funnel_fore_m: float = 1.0
    funnel_y_of_b: float = 0.24
    funnel_m: Size = (2.0, 1.2, 7.5)
    mast_of_l: float = 0.15
    mast_m: Size = (0.8, 0.8, 13.0)
    winch_aft_of_l: float = 0.08  # behind the house
    winch_m: Size = (3.0, 3.0, 2.2)
    fore_winch_of_l: float = 0.86
    fore_winch_m: Size = (2.5, 2.5, 1.8)
    own_gear: Counts = (2, 5)
    own_gear_of_l: Range = (0.08, 0.4)
    own_gear_y_of_b: Range = (-0.35, 0.35)
    own_gear_m: Size = (1.2, 1.2, 1.5)


OFFSHORE = OffshoreRanges()
FISHING_GEAR = Gear(
    count=(3, 8), y_of_b=(-0.35, 0.35), length_m=(0.6, 2.2), width_m=(0.6, 2.0), top_m=(0.8, 2.2)
)
FISHING = FishingRanges()
TUG = TugRanges()


def offshore(bp: Blueprint, rng: Rng, _own: Rng) -> None:
    """Lay out an offshore supply ship."""
    ship, L, B = OFFSHORE, bp.length, bp.beam
    house = L * uniform(rng, ship.house_of_l)
    house_half, upper_half = B * ship.house_half_of_b, B * ship.upper_half_of_b
    bp.across(house, L * ship.house_end_of_l, house_half, ship.house_top_m, Mat.HOUSE_ROOF)
    upper = house + L * ship.upper_aft_of_l
    bp.across(upper, L * ship.upper_end_of_l, upper_half, ship.upper_top_m, Mat.HOUSE_ROOF)
    bridge_x0, bridge_x1 = (house + L * of_l for of_l in ship.bridge_of_l)
    bp.across(bridge_x0, bridge_x1, B * ship.bridge_half_of_b, ship.bridge_top_m, Mat.HOUSE)
    outer, inner = ship.crash_rail_y_of_b
    for side in SIDES:
        funnel_y = side * B * ship.funnel_y_of_b
        bp.block(house + ship.funnel_fore_m, funnel_y, *ship.funnel_m, Mat.FUNNEL)
        bp.box(
            L * ship.crash_rail_of_l,
            house,
            side * B * outer,
            side * B * inner,
            ship.crash_rail_top_m,
            Mat.COAMING,
        )
    bp.block(house + L * ship.mast_of_l, 0.0, *ship.mast_m, Mat.CRANE)
    if chance(rng, ship.helipad_share):
        radius = B * ship.helipad_radius_of_b
        fit.helipad(bp, rng, L * ship.helipad_of_l, 0.0, radius, ship.helipad_top_m)
    else:
        fit.forecastle(bp, rng, L * ship.forecastle_of_l, ship.forecastle_raised_m)
    if chance(rng, ship.crane_share):
        x, y = house - ship.crane_aft_m, B * ship.crane_y_of_b
        fit.deck_crane(bp, rng, x, y, L * ship.jib_of_l, ship.crane_top_m, np.pi)
    bp.cargo_deck = (L * ship.cargo_of_l, house - ship.cargo_clear_m, B * ship.cargo_half_of_b)


def fishing(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a trawler or seiner."""
    ship, L, B = FISHING, bp.length, bp.beam
    house = L * pick(rng, ship.house_of_l)
    length = L * uniform(rng, ship.house_length_of_l)
    fit.forecastle(bp, rng, L * ship.forecastle_of_l, ship.forecastle_raised_m)
    bp.across(house, house + length, B * ship.house_half_of_b, ship.house_top_m, Mat.HOUSE_ROOF)
    bridge_x0, bridge_x1 = (house + length * of_house for of_house in ship.bridge_of_house)
    bp.across(bridge_x0, bridge_x1, B * ship.bridge_half_of_b, ship.bridge_top_m, Mat.HOUSE)
    mast_x = house + length * ship.mast_of_house
    bp.block(mast_x, 0.0, *ship.mast_m, Mat.CRANE)
    funnel_x = house + length * ship.funnel_of_house
    bp.block(funnel_x, B * ship.funnel_y_of_b, *ship.funnel_m, Mat.FUNNEL)
    gallows_x, gallows_width = L * ship.gallows_of_l, B * ship.gallows_width_of_b
    bp.block(gallows_x, 0.0, ship.gallows_m, gallows_width, ship.gallows_top_m, Mat.CRANE)
    drum_x, drum_width = L * uniform(rng, ship.drum_of_l), B * ship.drum_width_of_b
    bp.block(drum_x, 0.0, ship.drum_m, drum_width, ship.drum_top_m, Mat.MACHINERY)
    fit.scatter(bp, rng, FISHING_GEAR, ship.gear_of_l, x_unit_m=L)
    if chance(rng, ship.boom_share):
        tip_x, tip_y = house - L * ship.boom_of_l, uniform(own, ship.boom_tip_y_of_b) * B
        bp.bar(house, 0.0, tip_x, tip_y, ship.boom_width_m, ship.boom_top_m, Mat.CRANE)
    gear_x0, gear_x1 = (L * of_l for of_l in ship.side_gear_of_l)
    fit.side_gear(bp, rng, own, gear_x0, gear_x1, ship.side_gear_per_m)


def tug(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a harbour tug."""
    ship, L, B = TUG, bp.length, bp.beam
    house = L * uniform(rng, ship.house_of_l)
    house_end, half = house + L * ship.house_length_of_l, B * ship.house_half_of_b
    bp.across(house, house_end, half, ship.house_top_m, Mat.HOUSE_ROOF)
    bridge_x0, bridge_x1 = (house + L * of_l for of_l in ship.bridge_of_l)
    bp.across(bridge_x0, bridge_x1, B * ship.bridge_half_of_b, ship.bridge_top_m, Mat.HOUSE)
    bp.pair(house + ship.funnel_fore_m, B * ship.funnel_y_of_b, *ship.funnel_m, Mat.FUNNEL)
    bp.block(house + L * ship.mast_of_l, 0.0, *ship.mast_m, Mat.CRANE)
    bp.block(house - L * ship.winch_aft_of_l, 0.0, *ship.winch_m, Mat.MACHINERY)
    bp.block(L * ship.fore_winch_of_l, 0.0, *ship.fore_winch_m, Mat.MACHINERY)
    for _ in range(whole(own, ship.own_gear)):
        x, y = uniform(own, ship.own_gear_of_l) * L, uniform(own, ship.own_gear_y_of_b) * B
        bp.block(x, y, *ship.own_gear_m, Mat.MACHINERY)
