"""The accommodation aft, as most ships carry it: house, bridge, funnel, boats and poop gear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Size
from model_training.simulator.ships.decks.fittings import Gear, scatter
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class HouseRanges:
    """Accommodation above the engine room, with its bridge."""

    storey_per_length_m: float = 36.0  # one storey more for each 36 m of ship
    storeys_more: Range = (-1.0, 2.0)
    storeys: Range = (2.0, 8.0)
    storey_m: float = 2.8
    length_of_l: Range = (0.045, 0.075)
    length_m: Range = (5.0, 18.0)
    half_width_of_b: Range = (0.28, 0.47)
    poop_start_of_l: float = 0.008
    poop_half_of_b: float = 0.42
    poop_top_m: float = 0.8
    base_storeys: int = 2  # the lowest storeys are wider and reach further aft
    base_aft_of_house: Range = (0.2, 0.7)
    base_half_of_b: float = 0.46
    wing_m: Range = (2.0, 4.5)  # bridge wings reach over the ship's side
    wing_half_of_b: float = 0.5
    wing_top_m: float = 0.3  # above the house
    bridge_of_wing: float = 1.6
    bridge_setback_m: float = 0.5
    bridge_half_of_house: float = 0.6
    bridge_top_m: float = 2.6  # above the house
    roof_gear: Counts = (2, 5)
    roof_gear_spread: float = 0.8  # of the house's half width
    roof_gear_size_m: Range = (1.0, 3.0)
    roof_gear_top_m: Range = (0.8, 2.5)
    mast_of_wing: Range = (0.3, 0.7)
    mast_length_m: float = 1.0
    mast_width_m: float = 1.2
    mast_top_m: Range = (4.0, 9.0)  # above the bridge


@dataclass(frozen=True, slots=True)
class FunnelRanges:
    """The casing that carries the funnel, close behind the house or apart from it."""

    gap_m: Range = (1.0, 4.0)  # on one ship in three, else 0
    length_of_house: Range = (0.35, 0.7)
    length_m: Range = (2.5, 10.0)
    width_of_b: Range = (0.14, 0.3)
    width_m: Range = (2.0, 9.0)
    least_x_of_l: float = 0.02
    y_of_b: tuple[float, ...] = (0.0, 0.0, 0.0, 0.18, -0.18)  # three in five on the centre line
    casing_length: float = 1.35  # of the funnel's
    casing_width: float = 1.5  # of the funnel's
    casing_top_of_house: float = 0.62
    top_m: Range = (0.0, 4.5)  # above the house
    mouth_aft: float = 0.1  # of the funnel's length
    mouth_length: float = 0.4
    mouth_width: float = 0.5
    mouth_top_m: float = 5.0  # above the house


@dataclass(frozen=True, slots=True)
class LifeboatRanges:
    """One free-fall boat over the stern, or one boat on either side of the house."""

    free_fall_over_m: float = 85.0  # ships longer than this
    free_fall_share: float = 0.7
    free_fall_x_of_l: float = 0.012
    free_fall_length_m: float = 8.0
    free_fall_width_m: float = 2.8
    free_fall_top_m: float = 6.0
    large_over_m: float = 60.0
    large_m: float = 6.0
    small_m: float = 3.0
    x_of_house: float = 0.4
    y_of_b: float = 0.44
    width_m: float = 2.2
    top_m: float = 7.0
    crane_share: float = 0.6  # provision crane beside the house
    crane_x_of_house: Range = (-0.3, 0.5)
    crane_y_of_b: float = 0.4
    crane_m: Size = (4.0, 2.0, 6.5)


@dataclass(frozen=True, slots=True)
class PoopRanges:
    """Winches and vents behind the funnel."""

    least_length_m: float = 4.0  # a shorter poop stays bare
    start_m: float = 2.0


HOUSE = HouseRanges()
FUNNEL = FunnelRanges()
LIFEBOATS = LifeboatRanges()
POOP_GEAR = Gear(
    count=(3, 7), y_of_b=(-0.38, 0.38), length_m=(1.0, 3.5), width_m=(1.0, 3.0), top_m=(1.0, 2.2)
)
POOP = PoopRanges()


def aft_house(bp: Blueprint, rng: Rng, own: Rng, x0: float) -> float:
    """Add the accommodation with bridge, funnel, boats and poop gear.

    Args:
        x0: aft end of the house, metres from the stern.

    Returns:
        The x of the house's front, metres from the stern.
    """
    B, L = bp.beam, bp.length
    storeys = L / HOUSE.storey_per_length_m + uniform(rng, HOUSE.storeys_more)
    storeys = int(np.clip(storeys, *HOUSE.storeys))
    length = float(np.clip(L * uniform(rng, HOUSE.length_of_l), *HOUSE.length_m))
    front = x0 + length
    half = B * uniform(rng, HOUSE.half_width_of_b)
    height = HOUSE.storey_m * storeys
    bp.across(
        HOUSE.poop_start_of_l * L, x0, B * HOUSE.poop_half_of_b, HOUSE.poop_top_m, Mat.FOREDECK
    )
    base_start = x0 - length * uniform(rng, HOUSE.base_aft_of_house)
    base_top = HOUSE.storey_m * HOUSE.base_storeys
    bp.across(base_start, front, B * HOUSE.base_half_of_b, base_top, Mat.HOUSE_ROOF)
    bp.across(x0, front, half, height, Mat.HOUSE_ROOF)
    _bridge(bp, rng, own, x0, front, half, height)
    funnel_x, funnel_length = _funnel(bp, rng, x0, length, height)
    _lifeboats(bp, rng, own, x0, length)
    poop_end = funnel_x - funnel_length
    if poop_end >= POOP.least_length_m:
        scatter(bp, rng, POOP_GEAR, (POOP.start_m, poop_end))
    return front


def _bridge(
    bp: Blueprint, rng: Rng, own: Rng, x0: float, front: float, half: float, height: float
) -> None:
    """Add the bridge with its wings, gear on the roof behind it, and the mast."""
    wing = uniform(rng, HOUSE.wing_m)
    bp.across(
        front - wing, front, bp.beam * HOUSE.wing_half_of_b, height + HOUSE.wing_top_m, Mat.HOUSE
    )
    bp.across(
        front - wing * HOUSE.bridge_of_wing,
        front - HOUSE.bridge_setback_m,
        half * HOUSE.bridge_half_of_house,
        height + HOUSE.bridge_top_m,
        Mat.HOUSE,
    )
    for _ in range(whole(own, HOUSE.roof_gear)):
        bp.block(
            uniform(own, (x0, front - wing)),
            uniform(own, (-half, half)) * HOUSE.roof_gear_spread,
            uniform(own, HOUSE.roof_gear_size_m),
            uniform(own, HOUSE.roof_gear_size_m),
            height + uniform(own, HOUSE.roof_gear_top_m),
            Mat.MACHINERY,
        )
    bp.block(
        front - wing * uniform(rng, HOUSE.mast_of_wing),
        0.0,
        HOUSE.mast_length_m,
        HOUSE.mast_width_m,
        height + HOUSE.bridge_top_m + uniform(rng, HOUSE.mast_top_m),
        Mat.CRANE,
    )


def _funnel(
    bp: Blueprint, rng: Rng, house_x0: float, house_length: float, height: float
) -> tuple[float, float]:
    """Add casing, funnel and its dark mouth; return the funnel's middle x and its length."""
    gap = pick(rng, (0.0, 0.0, uniform(rng, FUNNEL.gap_m)))
    length = float(np.clip(house_length * uniform(rng, FUNNEL.length_of_house), *FUNNEL.length_m))
    width = float(np.clip(bp.beam * uniform(rng, FUNNEL.width_of_b), *FUNNEL.width_m))
    x = max(house_x0 - gap - length / 2, length / 2 + FUNNEL.least_x_of_l * bp.length)
    y = bp.beam * pick(rng, FUNNEL.y_of_b)
    bp.block(
        x,
        y,
        length * FUNNEL.casing_length,
        width * FUNNEL.casing_width,
        height * FUNNEL.casing_top_of_house,
        Mat.HOUSE_ROOF,
    )
    bp.block(x, y, length, width, height + uniform(rng, FUNNEL.top_m), Mat.FUNNEL)
    bp.block(
        x - length * FUNNEL.mouth_aft,
        y,
        length * FUNNEL.mouth_length,
        width * FUNNEL.mouth_width,
        height + FUNNEL.mouth_top_m,
        Mat.HOLD,
    )
    return x, length


def _lifeboats(bp: Blueprint, rng: Rng, own: Rng, house_x0: float, house_length: float) -> None:
    B, L = bp.beam, bp.length
    boats = LIFEBOATS
    if boats.free_fall_over_m < L and chance(rng, boats.free_fall_share):
        x = boats.free_fall_x_of_l * L
        end, width = x + boats.free_fall_length_m, boats.free_fall_width_m
        bp.bar(x, 0.0, end, 0.0, width, boats.free_fall_top_m, Mat.BOAT)
    else:
        size = boats.large_m if boats.large_over_m < L else boats.small_m
        x = house_x0 + house_length * boats.x_of_house
        bp.pair(x, B * boats.y_of_b, size, boats.width_m, boats.top_m, Mat.BOAT)
    if chance(own, boats.crane_share):
        x = house_x0 + house_length * uniform(own, boats.crane_x_of_house)
        bp.block(x, pick(own, SIDES) * B * boats.crane_y_of_b, *boats.crane_m, Mat.CRANE)
