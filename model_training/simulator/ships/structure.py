"""From a vessel's seeds to everything about it that does not change between visits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from model_training.simulator.noise import value_noise
from model_training.simulator.raster import BoolArray, Maps, draw, draw_all
from model_training.simulator.ships.blueprint import Blueprint, Crane, jib_part
from model_training.simulator.ships.catalogue import CATALOGUE, VesselType
from model_training.simulator.ships.decks import BUILDERS
from model_training.simulator.ships.materials import FloatArray, Material, draw_palette
from model_training.simulator.ships.vessel import VesselModel, generator
from model_training.simulator.truth import layout_along_hull


@dataclass(frozen=True, slots=True)
class Reflectors:
    """Strong scatterers that stay with the ship (corners, posts, brackets), arrays of length n."""

    row: FloatArray
    column: FloatArray
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
    """The permanent ship."""

    maps: Maps
    inside: BoolArray
    """True on the ship, ``[rows, columns]``."""
    blueprint: Blueprint
    palette: FloatArray
    paint: FloatArray
    """Relative brightness of the paint, ``[rows, columns]`` around 1: plates, rust, wear."""
    sparkle: FloatArray
    """Relative radar power of each cell, heavy-tailed around 1, the same at each visit."""
    reflectors: Reflectors
    freeboard_m: tuple[float, float]
    """Deck above water: laden, in ballast."""
    mirror_lobe_rad: float
    """Half width of the flash of its walls when they face the radar squarely."""
    layout: FloatArray
    """``truth.layout_along_hull`` with the stern first."""


def cell_size_m(length_m: float) -> float:
    """Cell of the maps: a quarter metre for boats, 0.8 m for the largest ships."""
    return float(np.clip(length_m / 256.0, 0.25, 0.8))


def draw_blueprint(vessel: VesselModel) -> Blueprint:
    """Lay out the ship: what sisters share from the class seed, details from its own."""
    blueprint = Blueprint(vessel.length_m, vessel.beam_m)
    kind = CATALOGUE[vessel.vessel_type]
    BUILDERS[kind.deck](
        blueprint, generator(vessel.class_seed, 1), generator(vessel.detail_seed, 1)
    )
    return blueprint


@lru_cache(maxsize=16)
def build_structure(vessel: VesselModel, layout_bins: int) -> Structure:
    """Build the permanent ship; the last few stay in memory because views come in runs."""
    kind = CATALOGUE[vessel.vessel_type]
    class_rng = generator(vessel.class_seed, 2)
    own = generator(vessel.detail_seed, 2)
    blueprint = draw_blueprint(vessel)
    cell = cell_size_m(vessel.length_m)
    rows = max(round(vessel.length_m / cell), 8)
    columns = max(round(vessel.beam_m / cell), 4)
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
    low, high = kind.freeboard
    lift = float(class_rng.uniform(0.9, 1.1)) * vessel.beam_m
    return Structure(
        maps=maps,
        inside=inside,
        blueprint=blueprint,
        palette=draw_palette(
            kind.deck, generator(vessel.class_seed, 3), generator(vessel.detail_seed, 3)
        ),
        paint=_paint(own, rows, columns, cell),
        sparkle=_sparkle(own, rows, columns, cell),
        reflectors=_reflectors(own, with_jibs, inside, vessel.length_m),
        freeboard_m=(max(low * lift, 1.0), max(high * lift, 1.5)),
        mirror_lobe_rad=float(class_rng.uniform(0.02, 0.07)),
        layout=layout_along_hull(with_jibs, inside, _bays(blueprint), layout_bins),
    )


def _bays(blueprint: Blueprint) -> list[tuple[float, float, float]]:
    return [(bay.x0, bay.x1, bay.half_width) for bay in blueprint.bays]


def _hull(
    rows: int, columns: int, vessel: VesselModel, kind: VesselType, rng: np.random.Generator
) -> BoolArray:
    """Deck outline: full body, tapering bow, and a stern between transom and cruiser."""
    bow = vessel.beam_m * float(rng.uniform(*kind.bow_length)) / vessel.length_m
    full = float(rng.uniform(*kind.bow_fullness))
    transom, run = float(rng.uniform(0.55, 0.98)), float(rng.uniform(0.03, 0.12))
    t = (np.arange(rows) + 0.5) / rows
    fore = np.clip((1.0 - t) / bow, 0.0, 1.0)
    aft = np.clip(t / run, 0.0, 1.0)
    # Full bows are round, fine ones come to a point.
    round_off = max(1.3 - 0.32 * full, 0.45)
    half = (1.0 - (1.0 - fore) ** full) ** round_off * (transom + (1.0 - transom) * aft**0.6)
    offset = np.abs(np.arange(columns) + 0.5 - columns / 2) / (columns / 2)
    mask: BoolArray = offset[None, :] <= np.maximum(half, 0.06)[:, None]
    return mask


def _sparkle(rng: np.random.Generator, rows: int, columns: int, cell: float) -> FloatArray:
    """Radar power of places: cell by cell, and in clusters of some metres."""
    grain = rng.standard_gamma(1.2, (rows, columns), dtype=np.float32) / np.float32(1.2)
    size = float(rng.uniform(4.0, 8.0)) / cell
    clusters = np.exp(1.1 * value_noise((rows, columns), size, rng) - 0.6)
    sparkle: FloatArray = grain * clusters
    return sparkle


def _paint(rng: np.random.Generator, rows: int, columns: int, cell: float) -> FloatArray:
    """Plate by plate and patch by patch differences of shade, and streaks of rust."""
    paint = 1.0 + 0.05 * rng.standard_normal((rows, columns), dtype=np.float32)
    plate = max(round(float(rng.uniform(6, 14)) / cell), 2)
    plates = rng.normal(1.0, 0.05, (rows // plate + 1, max(columns // plate, 1) + 1))
    paint *= np.repeat(np.repeat(plates, plate, 0), plate, 1)[:rows, :columns].astype(np.float32)
    wear = rng.normal(1.0, 0.09, (rows // 24 + 2, 3))
    paint *= np.repeat(np.repeat(wear, 24, 0), columns // 3 + 1, 1)[:rows, :columns].astype(
        np.float32
    )
    return paint


def _reflectors(
    rng: np.random.Generator, maps: Maps, inside: BoolArray, length_m: float
) -> Reflectors:
    """Pick corners of what stands on deck; tall and busy places hold more of them."""
    step = np.abs(np.diff(maps.height, axis=0, prepend=0.0)) + np.abs(
        np.diff(maps.height, axis=1, prepend=0.0)
    )
    weight = np.minimum(step, 5.0) * inside
    flat = np.flatnonzero(weight > 0.4)
    if flat.size == 0:
        flat = np.flatnonzero(inside)
    count = int(40 + 1.1 * length_m)
    chance = np.cumsum(weight.ravel()[flat] + 1e-3)
    chosen = flat[np.searchsorted(chance, rng.random(count) * chance[-1])]
    row, column = np.unravel_index(chosen, inside.shape)
    broad = rng.random(count) < 0.35
    lobe = np.where(broad, rng.uniform(0.6, 1.5, count), rng.uniform(0.05, 0.35, count))
    return Reflectors(
        row=(row + rng.random(count)).astype(np.float32),
        column=(column + rng.random(count)).astype(np.float32),
        height=(maps.height.ravel()[chosen] * rng.random(count)).astype(np.float32),
        strength=(40.0 * rng.lognormal(0.0, 1.6, count)).astype(np.float32),
        bearing=rng.uniform(-np.pi, np.pi, count).astype(np.float32),
        lobe=lobe.astype(np.float32),
    )


__all__ = ["Crane", "Reflectors", "Structure", "build_structure", "cell_size_m", "draw_blueprint"]
