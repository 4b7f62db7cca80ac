"""Build everything about a vessel that does not change between visits, from its seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from model_training.simulator.draws import Range, Rng, uniform
from model_training.simulator.noise import value_noise
from model_training.simulator.raster import BoolArray, Maps, draw, draw_all
from model_training.simulator.ships.blueprint import Blueprint, jib_part
from model_training.simulator.ships.catalogue import CATALOGUE, VesselType
from model_training.simulator.ships.decks import BUILDERS
from model_training.simulator.ships.materials import FloatArray, Material, draw_palette
from model_training.simulator.ships.vessel import VesselModel, generator
from model_training.simulator.truth import layout_along_hull

_PLAN_STREAM, _BODY_STREAM, _PAINT_STREAM = 1, 2, 3
"""Keys that keep the random streams of this module apart."""


@dataclass(frozen=True, slots=True)
class HullRanges:
    """Deck outline of all types, and what follows from hull and size; chosen by eye."""

    transom_of_b: Range = (0.55, 0.98)  # width at the stern over the beam
    run_of_l: Range = (0.03, 0.12)  # length of the tapering aft body
    run_exponent: float = 0.6
    round_bow: float = 1.3  # exponent that makes full bows round and lets fine ones be pointed
    round_less_by_fullness: float = 0.32
    least_round: float = 0.45
    least_half_width: float = 0.06  # of the half beam, at the stem
    freeboard_spread: Range = (0.9, 1.1)
    least_freeboard_m: tuple[float, float] = (1.0, 1.5)  # laden, in ballast
    mirror_lobe_rad: Range = (0.02, 0.07)
    cells_per_length: float = 256.0
    cell_m: Range = (0.25, 0.8)  # smallest and largest cell of the maps
    least_cells: tuple[int, int] = (8, 4)  # rows, columns


@dataclass(frozen=True, slots=True)
class SurfaceRanges:
    """Uneven paint and uneven radar power of the plating; chosen by eye."""

    paint_grain: float = 0.05  # deviation of each cell's brightness
    plate_m: Range = (6.0, 14.0)
    plate_deviation: float = 0.05
    wear_deviation: float = 0.09
    wear_rows: int = 24  # cells along the hull that are worn alike
    wear_columns: int = 3  # strips across the beam
    sparkle_shape: float = 1.2  # of the gamma distribution; smaller is spikier
    cluster_m: Range = (4.0, 8.0)
    cluster_contrast: float = 1.1  # in the logarithm of the power
    cluster_offset: float = 0.6  # keeps the mean power near 1


@dataclass(frozen=True, slots=True)
class ReflectorRanges:
    """Where the strong scatterers stand and how they shine; chosen by eye."""

    count: float = 40.0
    count_per_m: float = 1.1  # of the ship's length
    least_step_m: float = 0.4  # a cell beside a lower step is no corner
    most_step_m: float = 5.0  # higher steps draw no more reflectors
    floor: float = 1e-3  # weight that every candidate gets
    broad_share: float = 0.35
    broad_lobe_rad: Range = (0.6, 1.5)
    narrow_lobe_rad: Range = (0.05, 0.35)
    median_strength: float = 40.0
    strength_deviation: float = 1.6  # of the logarithm


HULL = HullRanges()
SURFACE = SurfaceRanges()
REFLECTORS = ReflectorRanges()


@dataclass(frozen=True, slots=True)
class Reflectors:
    """Strong scatterers that stay with the ship (corners, posts, brackets), arrays of length n."""

    row: FloatArray
    """Cells from the stern, with fractions."""
    column: FloatArray
    """Cells from the port side, with fractions."""
    height: FloatArray
    """Metres above the main deck."""
    strength: FloatArray
    """Peak power in the units of `materials.ROUGHNESS`."""
    bearing: FloatArray
    """Direction from which the reflector looks brightest, radians from the bow."""
    lobe: FloatArray
    """Half width of its lobe, radians."""


@dataclass(frozen=True, slots=True)
class Structure:
    """Permanent part of a ship."""

    maps: Maps
    inside: BoolArray
    """Deck outline: True on the ship, ``[rows, columns]``."""
    blueprint: Blueprint
    palette: FloatArray
    paint: FloatArray
    """Relative brightness of the paint, ``[rows, columns]`` around 1: plates, rust, wear."""
    sparkle: FloatArray
    """Relative radar power of each cell, heavy-tailed around 1, the same at each visit."""
    reflectors: Reflectors
    freeboard_m: tuple[float, float]
    """Height of the main deck above the water: laden, in ballast."""
    mirror_lobe_rad: float
    """Half width of the flash of a wall that faces the radar squarely."""
    layout: FloatArray
    """Return value of ``truth.layout_along_hull``, stern first."""


def cell_size_m(length_m: float) -> float:
    """Return the side of a map cell: 0.25 m for boats, 0.8 m for the largest ships."""
    return float(np.clip(length_m / HULL.cells_per_length, *HULL.cell_m))


def draw_blueprint(vessel: VesselModel) -> Blueprint:
    """Lay out the deck: what sisters share from the class seed, the rest from the detail seed."""
    blueprint = Blueprint(vessel.length_m, vessel.beam_m)
    build_deck = BUILDERS[CATALOGUE[vessel.vessel_type].deck]
    build_deck(
        blueprint,
        generator(vessel.class_seed, _PLAN_STREAM),
        generator(vessel.detail_seed, _PLAN_STREAM),
    )
    return blueprint


@lru_cache(maxsize=16)
def build_structure(vessel: VesselModel, layout_bins: int) -> Structure:
    """Build the permanent part of a ship.

    The last 16 structures are cached, because views of one ship are mostly rendered in a row.
    """
    kind = CATALOGUE[vessel.vessel_type]
    class_rng = generator(vessel.class_seed, _BODY_STREAM)
    own = generator(vessel.detail_seed, _BODY_STREAM)
    blueprint = draw_blueprint(vessel)
    cell = cell_size_m(vessel.length_m)
    rows = max(round(vessel.length_m / cell), HULL.least_cells[0])
    columns = max(round(vessel.beam_m / cell), HULL.least_cells[1])
    inside = _hull(rows, columns, vessel, kind, class_rng)
    maps = Maps(
        cell,
        np.zeros((rows, columns), np.float32),
        np.full((rows, columns), Material.DECK, np.uint8),
    )
    draw_all(maps, blueprint.parts)
    with_jibs = maps.copy()
    for crane in blueprint.cranes:
        draw(with_jibs, jib_part(crane, crane.park_angle))
    maps.height[~inside] = 0.0
    maps.material[~inside] = Material.WATER
    lift = uniform(class_rng, HULL.freeboard_spread) * vessel.beam_m
    laden, ballast = (
        max(of_beam * lift, least)
        for of_beam, least in zip(kind.freeboard, HULL.least_freeboard_m, strict=True)
    )
    return Structure(
        maps=maps,
        inside=inside,
        blueprint=blueprint,
        palette=draw_palette(
            kind.deck,
            generator(vessel.class_seed, _PAINT_STREAM),
            generator(vessel.detail_seed, _PAINT_STREAM),
        ),
        # The three fields below draw from one generator, in this order.
        paint=_paint(own, rows, columns, cell),
        sparkle=_sparkle(own, rows, columns, cell),
        reflectors=_reflectors(own, with_jibs, inside, vessel.length_m),
        freeboard_m=(laden, ballast),
        mirror_lobe_rad=uniform(class_rng, HULL.mirror_lobe_rad),
        layout=layout_along_hull(with_jibs, inside, _bays(blueprint), layout_bins),
    )


def _bays(blueprint: Blueprint) -> list[tuple[float, float, float]]:
    return [(bay.x0, bay.x1, bay.half_width) for bay in blueprint.bays]


def _hull(rows: int, columns: int, vessel: VesselModel, kind: VesselType, rng: Rng) -> BoolArray:
    """Draw the deck outline: full body, tapering bow, stern between transom and cruiser."""
    bow = vessel.beam_m * uniform(rng, kind.bow_length) / vessel.length_m
    full = uniform(rng, kind.bow_fullness)
    transom, run = uniform(rng, HULL.transom_of_b), uniform(rng, HULL.run_of_l)
    t = (np.arange(rows) + 0.5) / rows  # 0 at the stern, 1 at the stem
    fore = np.clip((1.0 - t) / bow, 0.0, 1.0)
    aft = np.clip(t / run, 0.0, 1.0)
    round_off = max(HULL.round_bow - HULL.round_less_by_fullness * full, HULL.least_round)
    half = (1.0 - (1.0 - fore) ** full) ** round_off
    half = half * (transom + (1.0 - transom) * aft**HULL.run_exponent)
    offset = np.abs(np.arange(columns) + 0.5 - columns / 2) / (columns / 2)
    # [1, columns] against [rows, 1]
    mask: BoolArray = offset[None, :] <= np.maximum(half, HULL.least_half_width)[:, None]
    return mask


def _sparkle(rng: Rng, rows: int, columns: int, cell: float) -> FloatArray:
    """Draw the radar power of places, cell by cell and in clusters of some metres."""
    shape = SURFACE.sparkle_shape
    grain = rng.standard_gamma(shape, (rows, columns), dtype=np.float32) / np.float32(shape)
    size = uniform(rng, SURFACE.cluster_m) / cell
    noise = value_noise((rows, columns), size, rng)
    sparkle: FloatArray = grain * np.exp(SURFACE.cluster_contrast * noise - SURFACE.cluster_offset)
    return sparkle


def _paint(rng: Rng, rows: int, columns: int, cell: float) -> FloatArray:
    """Draw the brightness of the paint, which differs by cell, by plate and by worn patch."""
    grain = rng.standard_normal((rows, columns), dtype=np.float32)
    paint = 1.0 + SURFACE.paint_grain * grain
    plate = max(round(uniform(rng, SURFACE.plate_m) / cell), 2)
    plates = rng.normal(
        1.0, SURFACE.plate_deviation, (rows // plate + 1, max(columns // plate, 1) + 1)
    )
    paint *= _spread(plates, plate, plate, rows, columns)
    worn, strips = SURFACE.wear_rows, SURFACE.wear_columns
    wear = rng.normal(1.0, SURFACE.wear_deviation, (rows // worn + 2, strips))
    paint *= _spread(wear, worn, columns // strips + 1, rows, columns)
    return paint


def _spread(
    values: npt.NDArray[np.float64], down: int, right: int, rows: int, columns: int
) -> FloatArray:
    """Repeat each value over `down` x `right` cells and cut the result to ``[rows, columns]``."""
    spread = np.repeat(np.repeat(values, down, 0), right, 1)[:rows, :columns]
    return spread.astype(np.float32)


def _reflectors(rng: Rng, maps: Maps, inside: BoolArray, length_m: float) -> Reflectors:
    """Place reflectors on corners of what stands on deck; tall and busy places hold more."""
    ranges = REFLECTORS
    step = np.abs(np.diff(maps.height, axis=0, prepend=0.0)) + np.abs(
        np.diff(maps.height, axis=1, prepend=0.0)
    )
    weight = np.minimum(step, ranges.most_step_m) * inside
    flat = np.flatnonzero(weight > ranges.least_step_m)
    if flat.size == 0:
        flat = np.flatnonzero(inside)
    count = int(ranges.count + ranges.count_per_m * length_m)
    cumulative = np.cumsum(weight.ravel()[flat] + ranges.floor)
    chosen = flat[np.searchsorted(cumulative, rng.random(count) * cumulative[-1])]
    row, column = np.unravel_index(chosen, inside.shape)
    broad = rng.random(count) < ranges.broad_share
    broad_lobe = rng.uniform(*ranges.broad_lobe_rad, count)
    lobe = np.where(broad, broad_lobe, rng.uniform(*ranges.narrow_lobe_rad, count))
    return Reflectors(
        row=(row + rng.random(count)).astype(np.float32),
        column=(column + rng.random(count)).astype(np.float32),
        height=(maps.height.ravel()[chosen] * rng.random(count)).astype(np.float32),
        strength=(
            ranges.median_strength * rng.lognormal(0.0, ranges.strength_deviation, count)
        ).astype(np.float32),
        bearing=rng.uniform(-np.pi, np.pi, count).astype(np.float32),
        lobe=lobe.astype(np.float32),
    )
