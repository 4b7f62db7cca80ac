"""Decks of bulk carriers: gearless, with cranes, open hatch, self-unloading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import Counts, Range, Rng, chance, pick, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Size
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.hatches import (
    hatch_row,
    main_deck,
    maybe_helipad,
    usual_hatch_count,
)
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class BulkRanges:
    """Bulk carrier without cranes."""

    house_of_l: Range = (0.055, 0.09)
    hatch_width_of_b: Range = (0.42, 0.62)
    side_gear_per_m: float = 0.12
    helipad_share: float = 0.55


@dataclass(frozen=True, slots=True)
class GearedBulkRanges:
    """Handysize or supramax with cranes between the hatches."""

    house_of_l: Range = (0.055, 0.09)
    hatch_width_of_b: Range = (0.48, 0.68)
    most_hatches: int = 7
    side_gear_per_m: float = 0.12
    crane_each_gap_up_to: int = 6  # hatches; with more, every second gap has a crane
    jibs_forward_share: float = 0.5
    crane_y_of_b: tuple[float, ...] = (0.0, 0.0, 0.12)
    crane_top_m: Range = (10.0, 16.0)
    jib_of_pitch: Range = (0.75, 1.05)  # of the length of hatch and strip together
    jib_longer: float = 1.05
    turned_jib_share: float = 0.15  # jibs stowed against the others
    grabs_share: float = 0.4  # grabs lie on deck behind every second hatch
    grab_aft_m: float = 1.5
    grab_y_of_b: tuple[float, ...] = (-0.3, 0.3)
    grab_m: Size = (3.0, 4.0, 3.0)
    helipad_share: float = 0.3


@dataclass(frozen=True, slots=True)
class OpenHatchRanges:
    """Box-shaped holds over the full width, under two travelling gantries or slewing cranes."""

    house_of_l: Range = (0.06, 0.09)
    hatch_width_of_b: Range = (0.78, 0.9)
    hatches: Counts = (7, 10)
    gantry_share: float = 0.6
    gantries_of_deck: tuple[Range, Range] = ((0.1, 0.4), (0.55, 0.9))
    gantry_half_m: float = 4.5  # from the gantry's middle to either cross beam
    beam_length_m: float = 2.0
    beam_width_of_b: float = 0.99
    beam_top_m: float = 15.0
    leg_y_of_b: float = 0.47
    leg_m: Size = (11.0, 2.0, 14.0)
    cab_y_of_b: Range = (-0.2, 0.2)
    cab_m: Size = (5.0, 4.0, 16.0)
    jib_m: float = 26.0
    crane_top_m: float = 15.0


@dataclass(frozen=True, slots=True)
class SelfUnloaderRanges:
    """Bulk carrier with a conveyor boom along the deck."""

    house_of_l: Range = (0.06, 0.1)
    hatch_width_of_b: Range = (0.4, 0.55)
    more_hatches: int = 2  # than other bulk carriers of the length
    boom_y_of_b: tuple[float, ...] = (0.0, 0.0, 0.25, -0.25)
    boom_aft_share: float = 0.6  # its root stands before the house, else amidships
    boom_root_m: float = 4.0
    boom_m: float = 75.0
    boom_of_l: float = 0.4
    tower_length_m: float = 8.0
    tower_width_of_b: float = 0.3
    tower_top_m: float = 11.0
    slant: Range = (-0.04, 0.04)  # metres to starboard per metre of boom
    belt_width_m: float = 2.8
    belt_top_m: float = 8.5
    chord_y_m: float = 1.9  # the boom's two upper chords
    chord_width_m: float = 0.7
    chord_top_m: float = 9.5
    side_gear_per_m: float = 0.1
    helipad_share: float = 0.3


BULK = BulkRanges()
GEARED_BULK = GearedBulkRanges()
OPEN_HATCH = OpenHatchRanges()
SELF_UNLOADER = SelfUnloaderRanges()


def bulk(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a bulk carrier without cranes."""
    x0, x1 = main_deck(bp, rng, own, BULK.house_of_l)
    width = bp.beam * uniform(rng, BULK.hatch_width_of_b)
    spans = hatch_row(bp, rng, own, x0, x1, usual_hatch_count(bp.length, rng), width)
    fit.side_gear(bp, rng, own, x0, x1, BULK.side_gear_per_m)
    maybe_helipad(bp, own, spans, BULK.helipad_share)


def geared_bulk(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a bulk carrier with cranes between the hatches."""
    ship = GEARED_BULK
    x0, x1 = main_deck(bp, rng, own, ship.house_of_l)
    count = min(usual_hatch_count(bp.length, rng), ship.most_hatches)
    width = bp.beam * uniform(rng, ship.hatch_width_of_b)
    spans = hatch_row(bp, rng, own, x0, x1, count, width)
    fit.side_gear(bp, rng, own, x0, x1, ship.side_gear_per_m)
    every = 1 if count <= ship.crane_each_gap_up_to else 2
    parks_forward = chance(own, ship.jibs_forward_share)
    y = bp.beam * pick(rng, ship.crane_y_of_b)
    top = uniform(rng, ship.crane_top_m)
    jib = uniform(rng, ship.jib_of_pitch) * (x1 - x0) / count
    for i in range(0, count - 1, every):
        x = (spans[i][1] + spans[i + 1][0]) / 2
        park = 0.0 if parks_forward else np.pi
        if chance(own, ship.turned_jib_share):
            park = np.pi - park
        fit.deck_crane(bp, rng, x, y, jib * ship.jib_longer, top, park)
    if chance(rng, ship.grabs_share):
        for start, _ in spans[::2]:
            grab_y = bp.beam * pick(own, ship.grab_y_of_b)
            bp.block(start - ship.grab_aft_m, grab_y, *ship.grab_m, Mat.CARGO)
    maybe_helipad(bp, own, spans, ship.helipad_share)


def open_hatch(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out an open-hatch carrier with two travelling gantries or with slewing cranes."""
    ship, B = OPEN_HATCH, bp.beam
    x0, x1 = main_deck(bp, rng, own, ship.house_of_l)
    width = B * uniform(rng, ship.hatch_width_of_b)
    count = whole(rng, ship.hatches)
    spans = hatch_row(bp, rng, own, x0, x1, count, width)
    if not chance(rng, ship.gantry_share):
        for i in range(0, count - 1, 2):
            x = (spans[i][1] + spans[i + 1][0]) / 2
            fit.deck_crane(bp, rng, x, 0.0, ship.jib_m, ship.crane_top_m, 0.0)
        return
    for place in [uniform(rng, limits) for limits in ship.gantries_of_deck]:
        x = x0 + (x1 - x0) * place
        for end in SIDES:
            beam_x, width = x + end * ship.gantry_half_m, B * ship.beam_width_of_b
            bp.block(beam_x, 0.0, ship.beam_length_m, width, ship.beam_top_m, Mat.CRANE)
        bp.pair(x, B * ship.leg_y_of_b, *ship.leg_m, Mat.CRANE)
        bp.block(x, uniform(own, ship.cab_y_of_b) * B, *ship.cab_m, Mat.HOUSE)


def self_unloader(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a bulk carrier whose conveyor boom lies along the deck."""
    ship, B = SELF_UNLOADER, bp.beam
    x0, x1 = main_deck(bp, rng, own, ship.house_of_l)
    width = B * uniform(rng, ship.hatch_width_of_b)
    count = usual_hatch_count(bp.length, rng) + ship.more_hatches
    spans = hatch_row(bp, rng, own, x0, x1, count, width)
    y = pick(rng, ship.boom_y_of_b) * B
    root = x0 + ship.boom_root_m if chance(rng, ship.boom_aft_share) else (x0 + x1) / 2
    # The boom lies over the longer part of the deck.
    reach = min(ship.boom_m, ship.boom_of_l * bp.length) * (1 if root < bp.length / 2 else -1)
    bp.block(
        root, y, ship.tower_length_m, B * ship.tower_width_of_b, ship.tower_top_m, Mat.HOUSE_ROOF
    )
    end, sideways = root + reach, reach * uniform(own, ship.slant)
    bp.bar(root, y, end, y + sideways, ship.belt_width_m, ship.belt_top_m, Mat.CRANE)
    for side in SIDES:
        chord = y + side * ship.chord_y_m
        bp.bar(root, chord, end, chord + sideways, ship.chord_width_m, ship.chord_top_m, Mat.CRANE)
    fit.side_gear(bp, rng, own, x0, x1, ship.side_gear_per_m)
    maybe_helipad(bp, own, spans, ship.helipad_share)
