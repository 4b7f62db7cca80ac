"""Decks of gas carriers."""

from __future__ import annotations

from dataclasses import dataclass

from model_training.simulator.draws import Counts, Range, Rng, chance, uniform, whole
from model_training.simulator.ships.blueprint import SIDES, Blueprint, Size
from model_training.simulator.ships.decks import fittings as fit
from model_training.simulator.ships.decks.house import aft_house
from model_training.simulator.ships.decks.tanker import manifold, pipes
from model_training.simulator.ships.materials import Material as Mat


@dataclass(frozen=True, slots=True)
class LngRanges:
    """Carrier of liquefied natural gas, in spheres or in membrane tanks."""

    house_of_l: Range = (0.08, 0.11)
    forecastle_of_l: float = 0.93
    forecastle_raised_m: float = 1.5
    clear_of_l: float = 0.01
    spheres_share: float = 0.45
    manifold_of_deck: Range = (0.4, 0.6)
    side_gear_per_m: float = 0.08


@dataclass(frozen=True, slots=True)
class SphereRanges:
    """Spherical tanks (Moss type); sizes are shares of the sphere's radius."""

    count: Counts = (4, 5)
    radius_of_pitch: float = 0.46
    radius_of_b: float = 0.44
    skirt_radius: float = 1.04
    skirt_top_m: float = 4.0
    top: float = 0.95
    dome_length_m: float = 4.0
    dome_width_m: float = 3.0
    dome_above_m: float = 1.5
    catwalk_half_m: float = 1.2
    catwalk_top: float = 1.02


@dataclass(frozen=True, slots=True)
class MembraneRanges:
    """The raised trunk deck over membrane tanks."""

    half_width_of_b: Range = (0.3, 0.42)
    top_m: float = 6.0
    tanks: int = 4
    dome_place: Range = (0.3, 0.7)  # of each tank's length
    dome_radius_m: float = 3.0
    dome_top_m: float = 9.0
    gear_fore_m: float = 6.0  # before the dome
    gear_y_of_b: float = 0.1
    gear_m: Size = (3.0, 5.0, 8.0)
    pipe_y: float = 0.1  # of the trunk's half width
    pipe_width_m: float = 2.5
    pipe_top_m: float = 8.2
    compressor_x_m: float = 10.0
    compressor_y_of_b: float = 0.3
    compressor_m: Size = (14.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class LpgRanges:
    """Carrier of liquefied petroleum gas: domes, deck tanks, a compressor house."""

    house_of_l: Range = (0.08, 0.12)
    forecastle_of_l: float = 0.93
    forecastle_raised_m: float = 2.2
    clear_aft_of_l: float = 0.015
    clear_fore_of_l: float = 0.01
    tanks: Counts = (3, 4)
    dome_radius_of_b: float = 0.1
    dome_top_m: float = 3.5
    dome_gear_fore_m: float = 3.0
    dome_gear_y_of_b: float = 0.08
    dome_gear_m: Size = (2.0, 3.0, 4.5)
    deck_tank_share: float = 0.8
    deck_tank_of_deck: Range = (0.15, 0.85)
    two_deck_tanks_share: float = 0.5
    deck_tank_y_of_b: float = 0.27
    deck_tank_length_of_l: float = 0.09
    deck_tank_half_of_b: float = 0.08
    deck_tank_top_m: float = 5.5
    compressor_of_deck: Range = (0.3, 0.7)
    compressor_y_of_b: float = -0.28
    compressor_length_of_l: float = 0.07
    compressor_width_of_b: float = 0.22
    compressor_top_m: float = 5.0
    pipe_run_of_b: float = 0.12
    pipes: Counts = (3, 5)


LNG = LngRanges()
SPHERES = SphereRanges()
MEMBRANE = MembraneRanges()
LPG = LpgRanges()


def lng(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a carrier of natural gas with spheres or with a trunk over membrane tanks."""
    L = bp.length
    front = aft_house(bp, rng, own, L * uniform(rng, LNG.house_of_l))
    fore = L * LNG.forecastle_of_l
    fit.forecastle(bp, rng, fore, LNG.forecastle_raised_m)
    x0, x1 = front + LNG.clear_of_l * L, fore - LNG.clear_of_l * L
    if chance(rng, LNG.spheres_share):
        _spheres(bp, rng, x0, x1)
    else:
        _membrane_trunk(bp, rng, x0, x1)
    manifold(bp, rng, x0 + (x1 - x0) * uniform(rng, LNG.manifold_of_deck))
    fit.side_gear(bp, rng, own, x0, x1, LNG.side_gear_per_m)


def _spheres(bp: Blueprint, rng: Rng, x0: float, x1: float) -> None:
    tank = SPHERES
    count = whole(rng, tank.count)
    pitch = (x1 - x0) / count
    radius = min(pitch * tank.radius_of_pitch, bp.beam * tank.radius_of_b)
    for i in range(count):
        x = x0 + (i + 0.5) * pitch
        bp.disc(x, 0.0, radius * tank.skirt_radius, tank.skirt_top_m, Mat.COAMING)
        bp.disc(x, 0.0, radius, radius * tank.top, Mat.TANK, dome=True)
        dome_top = radius + tank.dome_above_m
        bp.block(x, 0.0, tank.dome_length_m, tank.dome_width_m, dome_top, Mat.MACHINERY)
    bp.across(x0, x1, tank.catwalk_half_m, radius * tank.catwalk_top, Mat.PIPE)


def _membrane_trunk(bp: Blueprint, rng: Rng, x0: float, x1: float) -> None:
    tank, B = MEMBRANE, bp.beam
    half = B * uniform(rng, tank.half_width_of_b)
    bp.across(x0, x1, half, tank.top_m, Mat.TANK)
    for i in range(tank.tanks):
        x = x0 + (x1 - x0) * (i + uniform(rng, tank.dome_place)) / tank.tanks
        bp.disc(x, 0.0, tank.dome_radius_m, tank.dome_top_m, Mat.MACHINERY)
        bp.block(x + tank.gear_fore_m, B * tank.gear_y_of_b, *tank.gear_m, Mat.MACHINERY)
    pipe = half * tank.pipe_y
    bp.box(x0, x1, pipe, pipe + tank.pipe_width_m, tank.pipe_top_m, Mat.PIPE)
    compressor_y = B * tank.compressor_y_of_b
    bp.block(x0 + tank.compressor_x_m, compressor_y, *tank.compressor_m, Mat.HOUSE_ROOF)


def lpg(bp: Blueprint, rng: Rng, own: Rng) -> None:
    """Lay out a carrier of petroleum gas."""
    ship, L, B = LPG, bp.length, bp.beam
    front = aft_house(bp, rng, own, L * uniform(rng, ship.house_of_l))
    fore = L * ship.forecastle_of_l
    fit.forecastle(bp, rng, fore, ship.forecastle_raised_m)
    x0, x1 = front + ship.clear_aft_of_l * L, fore - ship.clear_fore_of_l * L
    tanks = whole(rng, ship.tanks)
    for i in range(tanks):
        x = x0 + (x1 - x0) * (i + 0.5) / tanks
        bp.disc(x, 0.0, B * ship.dome_radius_of_b, ship.dome_top_m, Mat.TANK)
        gear_x, gear_y = x + ship.dome_gear_fore_m, B * ship.dome_gear_y_of_b
        bp.block(gear_x, gear_y, *ship.dome_gear_m, Mat.MACHINERY)
    if chance(rng, ship.deck_tank_share):
        _deck_tanks(bp, rng, x0 + (x1 - x0) * uniform(rng, ship.deck_tank_of_deck))
    bp.block(
        x0 + (x1 - x0) * uniform(rng, ship.compressor_of_deck),
        B * ship.compressor_y_of_b,
        L * ship.compressor_length_of_l,
        B * ship.compressor_width_of_b,
        ship.compressor_top_m,
        Mat.HOUSE_ROOF,
    )
    pipes(bp, rng, x0, x1, B * ship.pipe_run_of_b, whole(rng, ship.pipes))
    manifold(bp, rng, (x0 + x1) / 2)
    fit.rails(bp, rng, x0, x1)


def _deck_tanks(bp: Blueprint, rng: Rng, x: float) -> None:
    """Add a deck tank to starboard or on both sides, its aft end at x."""
    half = bp.beam * LPG.deck_tank_half_of_b
    end = x + bp.length * LPG.deck_tank_length_of_l
    for side in SIDES if chance(rng, LPG.two_deck_tanks_share) else SIDES[1:]:
        y = side * bp.beam * LPG.deck_tank_y_of_b
        bp.box(x, end, y - half, y + half, LPG.deck_tank_top_m, Mat.TANK)
