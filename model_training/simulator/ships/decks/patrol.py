"""Deck of a patrol ship or frigate."""

from __future__ import annotations

from dataclasses import dataclass

from model_training.simulator.draws import Counts, Range, Rng, chance, uniform, whole
from model_training.simulator.ships.blueprint import Blueprint, Size
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.fittings import Gear
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class PatrolRanges:
    """Gun forward, stepped house amidships, masts, helicopter deck aft."""

    house_of_l: Range = (0.3, 0.4)
    house_end_of_l: Range = (0.66, 0.74)
    house_half_of_b: float = 0.46
    house_top_m: float = 3.0
    upper_aft_of_l: float = 0.05  # before the house's aft end
    upper_fore_of_l: float = 0.03  # behind its front
    upper_half_of_b: float = 0.36
    upper_top_m: float = 6.0
    bridge_of_l: tuple[float, float] = (0.14, 0.05)  # from here to there, behind the front
    bridge_half_of_b: float = 0.4
    bridge_top_m: float = 9.0
    mast_of_l: float = 0.16  # behind the front
    mast_length_of_l: float = 0.03
    mast_width_of_b: float = 0.2
    mast_top_m: float = 17.0
    funnel_of_l: Range = (0.08, 0.14)  # before the house's aft end
    funnel_length_of_l: float = 0.05
    funnel_width_of_b: float = 0.26
    funnel_top_m: float = 10.0
    gun_of_l: Range = (0.77, 0.82)
    gun_radius_of_b: float = 0.13
    gun_top_m: float = 2.4
    barrel_of_l: tuple[float, float] = (0.8, 0.86)  # from here to there
    barrel_width_m: float = 0.6
    barrel_top_m: float = 2.0
    boat_of_l: float = 0.04  # before the house's aft end
    boat_y_of_b: float = 0.4
    boat_m: Size = (6.0, 2.0, 4.5)
    helicopter_over_m: float = 60.0  # ships longer than this
    helicopter_share: float = 0.7
    helipad_of_house: float = 0.45  # of the x at which the house begins
    helipad_radius_of_b: float = 0.36
    helipad_radius_of_house: float = 0.35
    helipad_top_m: float = 0.1
    gear_of_l: Range = (0.05, 0.9)
    own_gear: Counts = (2, 5)  # on the house
    own_gear_y_of_b: Range = (-0.3, 0.3)
    own_gear_m: float = 1.5
    own_gear_top_m: Range = (4.0, 8.0)


SMALL_GEAR = Gear(
    count=(4, 9), y_of_b=(-0.35, 0.35), length_m=(0.8, 3.0), width_m=(0.6, 2.0), top_m=(0.8, 2.2)
)
PATROL = PatrolRanges()


def patrol(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a patrol ship or frigate."""
    ship, L, B = PATROL, bp.length, bp.beam
    house, front = L * uniform(rng, ship.house_of_l), L * uniform(rng, ship.house_end_of_l)
    bp.across(house, front, B * ship.house_half_of_b, ship.house_top_m, Mat.HOUSE_ROOF)
    upper, upper_end = house + L * ship.upper_aft_of_l, front - L * ship.upper_fore_of_l
    bp.across(upper, upper_end, B * ship.upper_half_of_b, ship.upper_top_m, Mat.HOUSE_ROOF)
    bridge_x0, bridge_x1 = (front - L * of_l for of_l in ship.bridge_of_l)
    bp.across(bridge_x0, bridge_x1, B * ship.bridge_half_of_b, ship.bridge_top_m, Mat.HOUSE)
    bp.block(
        front - L * ship.mast_of_l,
        0.0,
        L * ship.mast_length_of_l,
        B * ship.mast_width_of_b,
        ship.mast_top_m,
        Mat.CRANE,
    )
    bp.block(
        house + L * uniform(rng, ship.funnel_of_l),
        0.0,
        L * ship.funnel_length_of_l,
        B * ship.funnel_width_of_b,
        ship.funnel_top_m,
        Mat.FUNNEL,
    )
    gun_x = L * uniform(rng, ship.gun_of_l)
    bp.disc(gun_x, 0.0, B * ship.gun_radius_of_b, ship.gun_top_m, Mat.HOUSE)
    barrel_x0, barrel_x1 = (L * of_l for of_l in ship.barrel_of_l)
    bp.bar(barrel_x0, 0.0, barrel_x1, 0.0, ship.barrel_width_m, ship.barrel_top_m, Mat.CRANE)
    bp.pair(house + L * ship.boat_of_l, B * ship.boat_y_of_b, *ship.boat_m, Mat.BOAT)
    if ship.helicopter_over_m < L and chance(rng, ship.helicopter_share):
        radius = min(B * ship.helipad_radius_of_b, house * ship.helipad_radius_of_house)
        fit.helipad(bp, rng, house * ship.helipad_of_house, 0.0, radius, ship.helipad_top_m)
    fit.scatter(bp, rng, SMALL_GEAR, ship.gear_of_l, x_unit_m=L)
    for _ in range(whole(own, ship.own_gear)):
        x, y = uniform(own, (house, front)), uniform(own, ship.own_gear_y_of_b) * B
        top = uniform(own, ship.own_gear_top_m)
        bp.block(x, y, ship.own_gear_m, ship.own_gear_m, top, Mat.MACHINERY)
