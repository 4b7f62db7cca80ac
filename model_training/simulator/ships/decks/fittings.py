"""Fittings that most ships carry: forecastle, helipad, cranes, rails and deck gear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Crane, Size
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class Gear:
    """Small boxes scattered over a deck."""

    count: Counts
    y_of_b: Range
    length_m: Range
    width_m: Range
    top_m: Range
    """Height above the surface on which the gear stands."""


@dataclass(frozen=True, slots=True)
class ForecastleRanges:
    """The fore deck; x is a share of its length, heights are above it."""

    windlass_x: Range = (0.3, 0.55)
    windlass_y_of_b: Range = (0.1, 0.2)
    windlass_length: float = 0.25
    windlass_width_of_b: float = 0.1
    windlass_top_m: float = 1.8
    gear_a_side: Counts = (2, 4)
    gear_x: Range = (0.1, 0.75)
    gear_y_of_b: Range = (0.05, 0.3)
    gear_size_m: Range = (0.8, 2.0)
    gear_top_m: Range = (0.6, 1.5)
    mast_x: Range = (0.15, 0.6)
    mast_size_m: float = 1.0
    mast_top_m: Range = (5.0, 11.0)
    store_share: float = 0.5
    store_x: Range = (0.05, 0.3)
    store_y_of_b: Range = (-0.25, 0.25)
    store_size_m: float = 2.5
    store_top_m: float = 2.0
    breakwater_share: float = 0.35
    breakwater_start_m: float = 1.0
    breakwater_half_of_b: float = 0.33
    breakwater_tip_x: float = 0.35
    breakwater_width_m: float = 0.8
    breakwater_top_m: float = 1.6


@dataclass(frozen=True, slots=True)
class HelipadRanges:
    """Painted rings; radii are shares of the outermost."""

    yellow_share: float = 0.6
    field_radius: float = 0.82
    deck_coloured_share: float = 0.7
    ring_share: float = 0.7
    ring_outer: float = 0.42
    ring_inner: float = 0.25
    dot_radius: float = 0.12


@dataclass(frozen=True, slots=True)
class CranePostRanges:
    """The post of a slewing crane and the thicker housing around it."""

    size_of_b: Range = (0.075, 0.12)
    size_m: Range = (1.0, 4.0)
    housing_length: float = 1.5  # of the post's size
    housing_width: float = 1.3
    housing_top: float = 0.9  # of the post's height


@dataclass(frozen=True, slots=True)
class SideGearRanges:
    """Vents, bollards, reels and lockers along the side decks."""

    place: Range = (0.1, 0.9)  # within the length that each piece has to itself
    y_of_b: Range = (0.4, 0.47)
    length_m: Range = (0.6, 2.2)
    width_m: Range = (0.6, 1.4)
    top_m: Range = (0.7, 2.0)
    own_count: Counts = (2, 6)  # pieces that sister ships do not share
    own_y_of_b: Range = (0.36, 0.46)
    own_length_m: Range = (1.0, 4.0)
    own_width_m: Range = (0.8, 2.0)
    own_top_m: Range = (1.0, 2.6)
    own_materials: tuple[Mat, ...] = (Mat.MACHINERY, Mat.HOUSE, Mat.CARGO)


@dataclass(frozen=True, slots=True)
class RailRanges:
    """Posts of the bulwark or the rail."""

    pitch_m: Range = (5.0, 12.0)
    y_of_b: float = 0.485
    size_m: Size = (0.7, 0.7, 1.2)


FORECASTLE = ForecastleRanges()
HELIPAD = HelipadRanges()
CRANE_POST = CranePostRanges()
SIDE_GEAR = SideGearRanges()
RAILS = RailRanges()


def scatter(
    bp: Blueprint,
    rng: Rng,
    gear: Gear,
    x: Range,
    *,
    x_unit_m: float = 1.0,
    base_m: float = 0.0,
    materials: tuple[Mat, ...] = (Mat.MACHINERY,),
) -> None:
    """Scatter boxes of `gear` between the limits `x`, in units of `x_unit_m`, on top of `base_m`.

    `materials` are drawn per box, each equally likely.
    """
    for _ in range(whole(rng, gear.count)):
        bp.block(
            uniform(rng, x) * x_unit_m,
            uniform(rng, gear.y_of_b) * bp.beam,
            uniform(rng, gear.length_m),
            uniform(rng, gear.width_m),
            base_m + uniform(rng, gear.top_m),
            pick(rng, materials),
        )


def forecastle(bp: Blueprint, rng: Rng, x0: float, raised: float) -> None:
    """Add the fore deck with windlasses and mast and, on some ships, a store or a breakwater.

    Args:
        x0: where the fore deck begins, metres from the stern.
        raised: its height above the main deck, metres.
    """
    L, B = bp.length, bp.beam
    fore = FORECASTLE
    span = L - x0
    bp.across(x0, L, B / 2, raised, Mat.FOREDECK)
    for side in SIDES:
        bp.block(
            x0 + span * uniform(rng, fore.windlass_x),
            side * B * uniform(rng, fore.windlass_y_of_b),
            span * fore.windlass_length,
            B * fore.windlass_width_of_b,
            raised + fore.windlass_top_m,
            Mat.MACHINERY,
        )
        for _ in range(whole(rng, fore.gear_a_side)):
            bp.block(
                x0 + span * uniform(rng, fore.gear_x),
                side * B * uniform(rng, fore.gear_y_of_b),
                uniform(rng, fore.gear_size_m),
                uniform(rng, fore.gear_size_m),
                raised + uniform(rng, fore.gear_top_m),
                Mat.MACHINERY,
            )
    mast_x = x0 + span * uniform(rng, fore.mast_x)
    mast_top = raised + uniform(rng, fore.mast_top_m)
    bp.block(mast_x, 0.0, fore.mast_size_m, fore.mast_size_m, mast_top, Mat.CRANE)
    if chance(rng, fore.store_share):
        store_x = x0 + span * uniform(rng, fore.store_x)
        store_y = B * uniform(rng, fore.store_y_of_b)
        size, top = fore.store_size_m, raised + fore.store_top_m
        bp.block(store_x, store_y, size, size, top, Mat.HOUSE)
    if chance(rng, fore.breakwater_share):  # two bars that meet on the centre line
        start, tip = x0 + fore.breakwater_start_m, x0 + span * fore.breakwater_tip_x
        width, top = fore.breakwater_width_m, raised + fore.breakwater_top_m
        for side in SIDES:
            bp.bar(start, side * B * fore.breakwater_half_of_b, tip, 0.0, width, top, Mat.COAMING)


def helipad(bp: Blueprint, rng: Rng, x: float, y: float, radius: float, top: float) -> None:
    """Paint a landing or winching circle; it is flat, so the radar hardly sees it."""
    outer = Mat.YELLOW_MARK if chance(rng, HELIPAD.yellow_share) else Mat.WHITE_MARK
    bp.disc(x, y, radius, top, outer)
    inner = Mat.DECK if chance(rng, HELIPAD.deck_coloured_share) else Mat.HATCH
    bp.disc(x, y, radius * HELIPAD.field_radius, top, inner)
    if chance(rng, HELIPAD.ring_share):
        bp.disc(x, y, radius * HELIPAD.ring_outer, top, outer)
        bp.disc(x, y, radius * HELIPAD.ring_inner, top, Mat.DECK)
    bp.disc(x, y, radius * HELIPAD.dot_radius, top, Mat.WHITE_MARK)


def deck_crane(
    bp: Blueprint, rng: Rng, x: float, y: float, jib: float, top: float, park: float
) -> None:
    """Add a crane's post and record the crane, whose jib is drawn at each visit.

    Args:
        x: place of the post, metres from the stern.
        y: likewise, metres to starboard.
        top: height of the post, metres.
        park: direction in which the jib is stowed at sea, radians from the bow.
    """
    post = CRANE_POST
    size = float(np.clip(bp.beam * uniform(rng, post.size_of_b), *post.size_m))
    bp.block(x, y, size, size, top, Mat.CRANE)
    bp.block(
        x,
        y,
        size * post.housing_length,
        size * post.housing_width,
        top * post.housing_top,
        Mat.CRANE,
    )
    bp.cranes.append(Crane(x, y, top, size, jib, park))


def side_gear(bp: Blueprint, rng: Rng, own: Rng, x0: float, x1: float, per_m: float) -> None:
    """Add vents, bollards, reels and lockers on both side decks; the radar sees bright rows.

    Args:
        x0: start of the side decks, metres from the stern.
        x1: their end.
        per_m: shared pieces per metre of deck.
    """
    B, gear = bp.beam, SIDE_GEAR
    count = int((x1 - x0) * per_m)
    for i in range(count):
        bp.block(
            x0 + (x1 - x0) * (i + uniform(rng, gear.place)) / count,
            pick(rng, SIDES) * B * uniform(rng, gear.y_of_b),
            uniform(rng, gear.length_m),
            uniform(rng, gear.width_m),
            uniform(rng, gear.top_m),
            Mat.MACHINERY,
        )
    for _ in range(whole(own, gear.own_count)):
        bp.block(
            uniform(own, (x0, x1)),
            pick(own, SIDES) * B * uniform(own, gear.own_y_of_b),
            uniform(own, gear.own_length_m),
            uniform(own, gear.own_width_m),
            uniform(own, gear.own_top_m),
            pick(own, gear.own_materials),
        )


def rails(bp: Blueprint, rng: Rng, x0: float, x1: float) -> None:
    """Add posts of the bulwark or rail at a constant pitch along both sides."""
    pitch = uniform(rng, RAILS.pitch_m)
    for side in SIDES:
        y = side * bp.beam * RAILS.y_of_b
        for x in np.arange(x0, x1, pitch):
            bp.block(float(x), y, *RAILS.size_m, Mat.COAMING)
