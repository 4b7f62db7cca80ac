"""Deck of a cellular container ship."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Range, Rng, chance, pick, uniform
from model_training.simulator.ships.blueprint import Bay, Blueprint
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.materials import Material as Mat

BOX_WIDTH_M = 2.5  # ISO 668: 2.438 m, and the gap to the next stack
BAY_LENGTH_M = 12.3  # ISO 668, 40 ft: 12.192 m, and the lashing gear at its ends


@dataclass(frozen=True, slots=True)
class ContainerHouseRanges:
    """One house aft or amidships, or two islands: house forward and funnel aft."""

    twin_over_m: float = 330.0  # ships longer than this
    twin_share: float = 0.7
    twin_place_of_l: float = 0.62
    feeder_up_to_m: float = 190.0
    feeder_place_of_l: Range = (0.07, 0.12)
    place_of_l: tuple[float, ...] = (0.1, 0.2, 0.28, 0.3)
    length_of_l: float = 0.045
    length_m: Range = (7.0, 16.0)
    ship_m: tuple[float, ...] = (100.0, 200.0, 300.0, 400.0)
    top_m: tuple[float, ...] = (13.0, 20.0, 28.0, 32.0)  # at each of the ship's lengths
    half_width_of_b: Range = (0.3, 0.46)
    wing_m: float = 3.5
    wing_above_m: float = 0.5
    bridge_x: float = 0.6  # of the house's length
    bridge_m: float = 3.0
    bridge_above_m: float = 3.0
    mast_x: float = 0.5  # of the house's length
    mast_length_m: float = 1.0
    mast_width_m: float = 1.2
    mast_above_m: float = 10.0


@dataclass(frozen=True, slots=True)
class ContainerFunnelRanges:
    """The funnel, on a casing of its own or right behind a house that stands aft."""

    apart_over_of_l: float = 0.15  # a house further forward has the funnel apart
    twin_x_of_l: Range = (0.22, 0.3)
    apart_aft_m: float = 6.0  # behind the house
    apart_least_of_l: float = 0.05
    casing_length_m: float = 9.0
    casing_width_of_b: float = 0.45
    casing_top: float = 0.7  # of the house's height
    length_m: float = 6.0
    width_of_b: float = 0.22
    top: float = 0.9  # of the house's height
    joined_aft_m: float = 5.0
    joined_width_of_b: float = 0.25


@dataclass(frozen=True, slots=True)
class BayRanges:
    """Bays of 40 ft between lashing bridges."""

    gap_m: Range = (1.2, 2.6)
    width_of_b: float = 0.985
    bridges_over_m: float = 180.0  # shorter ships have low lashing bridges
    bridge_top_m: tuple[float, ...] = (2.6, 5.2, 7.8)  # one, two or three tiers high
    low_bridge_top_m: float = 2.0
    bridge_length_m: float = 0.9
    first_of_l: float = 0.02
    before_forecastle_m: float = 1.5
    clear_of_stack_m: float = 5.5
    search_step_m: float = 1.0  # to the next place where a bay may begin
    narrow_at_of_l: tuple[float, ...] = (0.0, 0.06, 0.75, 0.93)
    narrow: tuple[float, ...] = (0.9, 1.0, 1.0, 0.62)  # width at these places over the greatest
    hatch_top_m: float = 1.6
    ship_m: tuple[float, ...] = (100.0, 200.0, 300.0, 400.0)
    tiers: tuple[float, ...] = (3.0, 5.0, 7.0, 9.0)  # at each of the ship's lengths
    tiers_at_narrowest: float = 0.75
    tiers_by_width: float = 0.25


@dataclass(frozen=True, slots=True)
class ContainerRanges:
    """Forecastle and, on some feeders, cranes."""

    forecastle_of_l: Range = (0.92, 0.945)
    forecastle_raised_m: float = 2.6
    breakwater_aft_m: float = 1.0
    breakwater_m: float = 1.0
    breakwater_width_of_b: float = 0.9
    breakwater_top_m: float = 5.0
    cranes_up_to_m: float = 220.0
    cranes_share: float = 0.35
    cranes_of_l: tuple[float, ...] = (0.42, 0.68)
    crane_sides: tuple[float, ...] = (-1.0, 1.0)
    crane_y_of_b: float = 0.44
    jib_m: float = 24.0
    crane_top_m: float = 18.0


HOUSE = ContainerHouseRanges()
FUNNEL = ContainerFunnelRanges()
BAYS = BayRanges()
CONTAINER = ContainerRanges()


@dataclass(frozen=True, slots=True)
class _House:
    """Where the house begins and ends and where the funnel stands, metres from the stern."""

    x0: float
    x1: float
    funnel_x: float


def container(bp: Blueprint, rng: Rng, _own: Rng) -> None:
    """Lay out a container ship with one house or two islands."""
    ship, L, B = CONTAINER, bp.length, bp.beam
    twin = HOUSE.twin_over_m < L and chance(rng, HOUSE.twin_share)
    feeder = HOUSE.feeder_up_to_m > L
    place = uniform(rng, HOUSE.feeder_place_of_l) if feeder else pick(rng, HOUSE.place_of_l)
    place = HOUSE.twin_place_of_l if twin else place
    fore = L * uniform(rng, ship.forecastle_of_l)
    fit.forecastle(bp, rng, fore, ship.forecastle_raised_m)
    bp.block(
        fore - ship.breakwater_aft_m,
        0.0,
        ship.breakwater_m,
        B * ship.breakwater_width_of_b,
        ship.breakwater_top_m,
        Mat.COAMING,
    )
    house = _house_and_funnel(bp, rng, place, twin=twin)
    _bays(bp, rng, house, fore)
    if ship.cranes_up_to_m > L and chance(rng, ship.cranes_share):
        for crane_of_l in ship.cranes_of_l:
            y = pick(rng, ship.crane_sides) * B * ship.crane_y_of_b
            fit.deck_crane(bp, rng, L * crane_of_l, y, ship.jib_m, ship.crane_top_m, 0.0)


def _house_and_funnel(bp: Blueprint, rng: Rng, place_of_l: float, *, twin: bool) -> _House:
    L, B = bp.length, bp.beam
    length = float(np.clip(HOUSE.length_of_l * L, *HOUSE.length_m))
    x0 = L * place_of_l
    x1 = x0 + length
    top = float(np.interp(L, HOUSE.ship_m, HOUSE.top_m))
    if twin or place_of_l > FUNNEL.apart_over_of_l:
        usual = max(x0 - FUNNEL.apart_aft_m, FUNNEL.apart_least_of_l * L)
        funnel_x = L * uniform(rng, FUNNEL.twin_x_of_l) if twin else usual
        casing_width = B * FUNNEL.casing_width_of_b
        casing_top = top * FUNNEL.casing_top
        bp.block(funnel_x, 0.0, FUNNEL.casing_length_m, casing_width, casing_top, Mat.HOUSE_ROOF)
        width, funnel_top = B * FUNNEL.width_of_b, top * FUNNEL.top
    else:
        funnel_x = x0 - FUNNEL.joined_aft_m
        width, funnel_top = B * FUNNEL.joined_width_of_b, top
    bp.block(funnel_x, 0.0, FUNNEL.length_m, width, funnel_top, Mat.FUNNEL)
    half = B * uniform(rng, HOUSE.half_width_of_b)
    bp.across(x0, x1, half, top, Mat.HOUSE_ROOF)
    bp.across(x1 - HOUSE.wing_m, x1, B / 2, top + HOUSE.wing_above_m, Mat.HOUSE)
    bridge_x, bridge_top = x0 + length * HOUSE.bridge_x, top + HOUSE.bridge_above_m
    bp.block(bridge_x, 0.0, HOUSE.bridge_m, half, bridge_top, Mat.HOUSE)
    mast_x, mast_top = x0 + length * HOUSE.mast_x, top + HOUSE.mast_above_m
    bp.block(mast_x, 0.0, HOUSE.mast_length_m, HOUSE.mast_width_m, mast_top, Mat.CRANE)
    return _House(x0, x1, funnel_x)


def _bays(bp: Blueprint, rng: Rng, house: _House, fore: float) -> None:
    """Fill the deck from stern to forecastle with bays, but for the house and the funnel."""
    L = bp.length
    gap = uniform(rng, BAYS.gap_m)
    half_width = (bp.beam * BAYS.width_of_b // BOX_WIDTH_M) * BOX_WIDTH_M / 2
    high_bridges = BAYS.bridges_over_m < L
    bridge_top = pick(rng, BAYS.bridge_top_m) if high_bridges else BAYS.low_bridge_top_m
    most_tiers = float(np.interp(L, BAYS.ship_m, BAYS.tiers))
    half_bay = BAY_LENGTH_M / 2
    x = L * BAYS.first_of_l
    while x + BAY_LENGTH_M < fore - BAYS.before_forecastle_m:
        on_house = house.x0 - gap < x + BAY_LENGTH_M and x < house.x1 + gap
        on_funnel = abs(x + half_bay - house.funnel_x) < half_bay + BAYS.clear_of_stack_m
        if on_house or on_funnel:
            x += BAYS.search_step_m
            continue
        narrow = float(np.interp(x / L, BAYS.narrow_at_of_l, BAYS.narrow))
        # Whole boxes, an even or an odd number beside each other.
        width = (half_width * narrow // (BOX_WIDTH_M / 2)) * (BOX_WIDTH_M / 2)
        bp.across(x, x + BAY_LENGTH_M, width, BAYS.hatch_top_m, Mat.HATCH)
        bp.block(x - gap / 2, 0.0, BAYS.bridge_length_m, 2 * width, bridge_top, Mat.MACHINERY)
        tiers = round(most_tiers * (BAYS.tiers_at_narrowest + BAYS.tiers_by_width * narrow))
        bp.bays.append(Bay(x, x + BAY_LENGTH_M, width, BAYS.hatch_top_m, max(tiers, 1)))
        x += BAY_LENGTH_M + gap
