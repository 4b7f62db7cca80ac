"""One visit of a ship: draught, cargo, open hatches and where the cranes point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.simulator.draws import pick
from model_training.simulator.raster import Maps, draw
from model_training.simulator.ships.blueprint import Bay, Hold, jib_part
from model_training.simulator.ships.materials import FloatArray, Material
from model_training.simulator.ships.structure import Structure

_BOX_WIDTH_M = 2.5
_BOX_HEIGHT_M = 2.6
_DECK_CARGO = (Material.CARGO, Material.HOUSE, Material.BOX_0, Material.BOX_0 + 2)


@dataclass(frozen=True, slots=True)
class Visit:
    """The ship as it is on one day."""

    maps: Maps
    freeboard_m: float
    palette: FloatArray
    """Colours after fading or a repaint, float32 ``[Material.COUNT, 3]``."""


def make_visit(structure: Structure, rng: np.random.Generator) -> Visit:
    """Draw what may differ between two sightings of one ship."""
    maps = structure.maps.copy()
    _open_holds(maps, structure, rng)
    _load_bays(maps, structure.blueprint.bays, rng)
    _load_deck(maps, structure, rng)
    working = rng.random() < 0.25
    for crane in structure.blueprint.cranes:
        angle = crane.park_angle + float(rng.normal(0.0, 0.03))
        if working and rng.random() < 0.6:
            angle = float(rng.uniform(-np.pi, np.pi))
        draw(maps, jib_part(crane, angle))
    outside = ~structure.inside
    np.copyto(maps.height, 0.0, where=outside & (maps.material != Material.CRANE))
    maps.material[outside & (maps.height == 0)] = Material.WATER
    low, high = structure.freeboard_m
    load = float(rng.beta(0.7, 0.7))
    return Visit(maps, high + (low - high) * load, _weathered(structure.palette, rng))


def _weathered(palette: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Fade all paint a little towards grey; seldom, the deck has been painted anew."""
    fade = float(rng.uniform(0.0, 0.2))
    grey = palette.mean(1, keepdims=True) * 0.6 + 0.08
    aged = palette * (1 - fade) + grey * fade
    aged = aged * rng.normal(1.0, 0.04, (palette.shape[0], 1))
    if rng.random() < 0.06:
        aged[Material.DECK : Material.HOUSE] *= rng.uniform(0.6, 1.5, (1, 3))
    clipped: FloatArray = np.clip(aged, 0.0, 0.95).astype(np.float32)
    return clipped


def _open_holds(maps: Maps, structure: Structure, rng: np.random.Generator) -> None:
    if rng.random() > 0.15:
        return
    chance = float(rng.uniform(0.15, 0.8))
    for hold in structure.blueprint.holds:
        if rng.random() < chance:
            _open(
                maps,
                hold,
                float(rng.uniform(-12, -1)),
                Material.CARGO if rng.random() < 0.5 else Material.HOLD,
            )


def _open(maps: Maps, hold: Hold, floor: float, material: Material) -> None:
    cell, middle = maps.cell_m, maps.height.shape[1] / 2
    r0, r1 = round(hold.x0 / cell), round(hold.x1 / cell)
    c0, c1 = round(hold.y0 / cell + middle), round(hold.y1 / cell + middle)
    span = r1 - r0
    if hold.folding:  # the folded covers stand upright at both ends
        maps.height[r0 : r0 + span // 8, c0:c1] = hold.top + 5.0
        maps.height[r1 - span // 8 : r1, c0:c1] = hold.top + 5.0
        inner = slice(r0 + span // 8, r1 - span // 8)
    else:
        inner = slice(r0, r1)
    maps.height[inner, c0:c1] = floor
    maps.material[inner, c0:c1] = material


def _load_bays(maps: Maps, bays: list[Bay], rng: np.random.Generator) -> None:
    """Stack containers row by row; whole bays may be empty, twenty-foot boxes split a bay."""
    if not bays:
        return
    cell, middle = maps.cell_m, maps.height.shape[1] / 2
    fill = float(rng.beta(2.0, 0.8))
    colours = np.cumsum(rng.dirichlet(np.full(8, 1.6)))
    colours /= colours[-1]
    for bay in bays:
        if rng.random() > 0.35 + 0.65 * fill:
            continue
        rows = max(round(2 * bay.half_width / _BOX_WIDTH_M), 1)
        level = rng.integers(max(1, round(bay.max_tiers * fill * 0.6)), bay.max_tiers + 1)
        tiers = np.maximum(level - rng.integers(0, 2, rows) * (rng.random(rows) < 0.35), 0)
        halves = 2 if rng.random() < 0.3 else 1
        drawn = colours.searchsorted(rng.random((halves, rows)), side="right")
        kinds = drawn + int(Material.BOX_0)
        r0, r1 = round(bay.x0 / cell), round(bay.x1 / cell)
        edges = np.round((np.linspace(-bay.half_width, bay.half_width, rows + 1)) / cell + middle)
        columns = np.diff(edges.astype(int))
        left = max(int(edges[0]), 0)
        heights = np.repeat(bay.base + _BOX_HEIGHT_M * tiers, columns).astype(np.float32)
        right = min(left + heights.size, maps.height.shape[1])
        maps.height[r0:r1, left:right] = heights[: right - left]
        cuts = np.linspace(r0, r1, halves + 1).astype(int)
        for k in range(halves):
            stripe = np.repeat(kinds[k], columns).astype(np.uint8)[: right - left]
            empty = heights[: right - left] <= bay.base
            maps.material[cuts[k] : cuts[k + 1], left:right] = np.where(
                empty, Material.HATCH, stripe
            )


def _load_deck(maps: Maps, structure: Structure, rng: np.random.Generator) -> None:
    """Loose deck cargo: trailers in lanes, crates, pipes, timber."""
    deck = structure.blueprint.cargo_deck
    if deck is None or rng.random() < 0.25:
        return
    cell, middle = maps.cell_m, maps.height.shape[1] / 2
    x0, x1, half = deck
    lanes = max(int(2 * half / 3.2), 1)
    fill = float(rng.uniform(0.15, 0.85))
    size = pick(rng, (4.5, 7.0, 13.5))
    for lane in range(lanes):
        y = -half + 2 * half * (lane + 0.1) / lanes
        for x in np.arange(x0, x1 - size, size * 1.08):
            if rng.random() > fill:
                continue
            kind = pick(rng, _DECK_CARGO)
            r, c = round(float(x) / cell), round(y / cell + middle)
            there = (
                slice(r, r + max(round(size / cell), 1)),
                slice(max(c, 0), c + max(round(2.5 / cell), 1)),
            )
            maps.height[there] = (
                max(2.0, float(maps.height[r, min(max(c, 0), maps.height.shape[1] - 1)])) + 1.5
            )
            maps.material[there] = kind
