"""Draw one visit of a ship: draught, cargo, open hatches and where the cranes point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_training.simulator.draws import Range, Rng, chance, pick, uniform
from model_training.simulator.raster import Maps, draw
from model_training.simulator.ships.blueprint import Bay, Hold, jib_part
from model_training.simulator.ships.decks.container import BOX_WIDTH_M
from model_training.simulator.ships.materials import FloatArray, Material
from model_training.simulator.ships.structure import Structure

_DECK_CARGO = (Material.CARGO, Material.HOUSE, Material.BOX_0, Material.BOX_0 + 2)


@dataclass(frozen=True, slots=True)
class VisitRanges:
    """How a ship differs between visits; chosen by eye."""

    working_share: float = 0.25  # visits at which cranes work
    slewed_share: float = 0.6  # cranes that point anywhere at such a visit
    stowed_deviation_rad: float = 0.03
    load_shape: float = 0.7  # both parameters of the beta distribution: mostly laden or in ballast
    fade: Range = (0.0, 0.2)
    faded_grey: float = 0.6  # brightness of fully faded paint over that of fresh paint
    faded_more: float = 0.08
    shade_deviation: float = 0.04
    repaint_share: float = 0.06
    repaint: Range = (0.6, 1.5)  # of each colour band of the deck
    most: float = 0.95  # reflectance of the brightest paint
    open_share: float = 0.15  # visits with open hatches
    open_hold_share: Range = (0.15, 0.8)  # holds open at such a visit
    floor_m: Range = (-12.0, -1.0)  # top of the cargo, or the bottom of the hold
    cargo_share: float = 0.5  # open holds in which cargo shows
    folded_of_hatch: int = 8  # folded covers take an eighth of the hatch at either end
    folded_m: float = 5.0  # and stand this much above the closed cover


@dataclass(frozen=True, slots=True)
class ContainerLoadRanges:
    """Containers on a visit; chosen by eye where no source is named."""

    tier_m: float = 2.6  # ISO 668: 2.591 m, a standard container
    fill: tuple[float, float] = (2.0, 0.8)  # parameters of the beta distribution: mostly full
    colours: float = 1.6  # of the Dirichlet distribution; larger is more even
    least_bay_share: float = 0.35  # bays in use on an empty ship
    bay_share_by_fill: float = 0.65
    least_tiers_by_fill: float = 0.6
    lower_share: float = 0.35  # stacks that may be a tier lower than the bay
    split_share: float = 0.3  # bays of twenty-foot containers


@dataclass(frozen=True, slots=True)
class DeckLoadRanges:
    """Loose deck cargo in lanes; chosen by eye."""

    empty_share: float = 0.25
    lane_m: float = 3.2
    lane_offset: float = 0.1  # of a lane, from its port side
    fill: Range = (0.15, 0.85)
    length_m: tuple[float, ...] = (4.5, 7.0, 13.5)  # crate or car, lorry, trailer
    pitch: float = 1.08  # over the cargo's length
    width_m: float = 2.5
    least_base_m: float = 2.0
    above_base_m: float = 1.5


VISIT = VisitRanges()
CONTAINER_LOAD = ContainerLoadRanges()
DECK_LOAD = DeckLoadRanges()


@dataclass(frozen=True, slots=True)
class Visit:
    """Ship as it is on one day."""

    maps: Maps
    freeboard_m: float
    """Height of the main deck above the water."""
    palette: FloatArray
    """Colours after fading or a repaint, float32 ``[Material.COUNT, 3]``."""


def make_visit(structure: Structure, rng: Rng) -> Visit:
    """Draw what may differ between two sightings of one ship."""
    maps = structure.maps.copy()
    _open_holds(maps, structure, rng)
    _load_bays(maps, structure.blueprint.bays, rng)
    _load_deck(maps, structure, rng)
    working = chance(rng, VISIT.working_share)
    for crane in structure.blueprint.cranes:
        angle = crane.park_angle + rng.normal(0.0, VISIT.stowed_deviation_rad)
        if working and chance(rng, VISIT.slewed_share):
            angle = rng.uniform(-np.pi, np.pi)
        draw(maps, jib_part(crane, angle))
    # Jibs may reach over the ship's side; everything else is cut to the deck outline.
    outside = ~structure.inside
    np.copyto(maps.height, 0.0, where=outside & (maps.material != Material.CRANE))
    maps.material[outside & (maps.height == 0)] = Material.WATER
    laden, ballast = structure.freeboard_m
    load = rng.beta(VISIT.load_shape, VISIT.load_shape)
    return Visit(maps, ballast + (laden - ballast) * load, _weathered(structure.palette, rng))


def _weathered(palette: FloatArray, rng: Rng) -> FloatArray:
    """Fade all paint a little towards grey; on a few visits the deck has been painted anew."""
    fade = uniform(rng, VISIT.fade)
    grey = palette.mean(1, keepdims=True) * VISIT.faded_grey + VISIT.faded_more
    aged = palette * (1 - fade) + grey * fade
    aged = aged * rng.normal(1.0, VISIT.shade_deviation, (palette.shape[0], 1))
    if chance(rng, VISIT.repaint_share):
        aged[Material.DECK : Material.HOUSE] *= rng.uniform(*VISIT.repaint, (1, 3))
    clipped: FloatArray = np.clip(aged, 0.0, VISIT.most).astype(np.float32)
    return clipped


def _open_holds(maps: Maps, structure: Structure, rng: Rng) -> None:
    if rng.random() > VISIT.open_share:
        return
    share = uniform(rng, VISIT.open_hold_share)
    for hold in structure.blueprint.holds:
        if chance(rng, share):
            floor = uniform(rng, VISIT.floor_m)
            material = Material.CARGO if chance(rng, VISIT.cargo_share) else Material.HOLD
            _open(maps, hold, floor, material)


def _open(maps: Maps, hold: Hold, floor: float, material: Material) -> None:
    """Replace the cover of `hold` by its floor, and stand folding covers up at both ends."""
    cell, middle = maps.cell_m, maps.height.shape[1] / 2
    r0, r1 = round(hold.x0 / cell), round(hold.x1 / cell)
    c0, c1 = round(hold.y0 / cell + middle), round(hold.y1 / cell + middle)
    if hold.folding:
        folded = (r1 - r0) // VISIT.folded_of_hatch
        maps.height[r0 : r0 + folded, c0:c1] = hold.top + VISIT.folded_m
        maps.height[r1 - folded : r1, c0:c1] = hold.top + VISIT.folded_m
        r0, r1 = r0 + folded, r1 - folded
    maps.height[r0:r1, c0:c1] = floor
    maps.material[r0:r1, c0:c1] = material


def _load_bays(maps: Maps, bays: list[Bay], rng: Rng) -> None:
    """Stack containers bay by bay; some bays stay empty, twenty-foot containers split a bay."""
    if not bays:
        return
    load = CONTAINER_LOAD
    fill = rng.beta(*load.fill)
    colours = np.cumsum(rng.dirichlet(np.full(Material.COUNT - Material.BOX_0, load.colours)))
    colours /= colours[-1]
    for bay in bays:
        if rng.random() <= load.least_bay_share + load.bay_share_by_fill * fill:
            _load_bay(maps, bay, fill, colours, rng)


def _load_bay(
    maps: Maps, bay: Bay, fill: float, colours: npt.NDArray[np.float64], rng: Rng
) -> None:
    """Stack the containers of one bay.

    Args:
        maps: the ship, changed in place.
        fill: how full the ship is, 0..1.
        colours: running sums of the shares of the container colours, up to 1.
    """
    load, cell, middle = CONTAINER_LOAD, maps.cell_m, maps.height.shape[1] / 2
    stacks = max(round(2 * bay.half_width / BOX_WIDTH_M), 1)
    least = max(1, round(bay.max_tiers * fill * load.least_tiers_by_fill))
    level = rng.integers(least, bay.max_tiers + 1)
    lower = rng.integers(0, 2, stacks) * (rng.random(stacks) < load.lower_share)
    tiers = np.maximum(level - lower, 0)
    halves = 2 if chance(rng, load.split_share) else 1
    drawn = colours.searchsorted(rng.random((halves, stacks)), side="right")
    kinds = drawn + int(Material.BOX_0)  # [halves, stacks]
    r0, r1 = round(bay.x0 / cell), round(bay.x1 / cell)
    edges = np.round((np.linspace(-bay.half_width, bay.half_width, stacks + 1)) / cell + middle)
    columns = np.diff(edges.astype(int))  # cells across each stack
    left = max(int(edges[0]), 0)
    heights = np.repeat(bay.base + load.tier_m * tiers, columns).astype(np.float32)
    right = min(left + heights.size, maps.height.shape[1])
    heights = heights[: right - left]
    maps.height[r0:r1, left:right] = heights
    cuts = np.linspace(r0, r1, halves + 1).astype(int)
    for half, kind in enumerate(kinds):
        stripe = np.repeat(kind, columns).astype(np.uint8)[: right - left]
        maps.material[cuts[half] : cuts[half + 1], left:right] = np.where(
            heights <= bay.base, Material.HATCH, stripe
        )


def _load_deck(maps: Maps, structure: Structure, rng: Rng) -> None:
    """Put loose cargo on deck: trailers in lanes, crates, pipes, timber."""
    deck, load = structure.blueprint.cargo_deck, DECK_LOAD
    if deck is None or chance(rng, load.empty_share):
        return
    cell, last_column = maps.cell_m, maps.height.shape[1] - 1
    middle = maps.height.shape[1] / 2
    x0, x1, half = deck
    lanes = max(int(2 * half / load.lane_m), 1)
    fill = uniform(rng, load.fill)
    length = pick(rng, load.length_m)
    rows, columns = max(round(length / cell), 1), max(round(load.width_m / cell), 1)
    for lane in range(lanes):
        y = -half + 2 * half * (lane + load.lane_offset) / lanes
        for x in np.arange(x0, x1 - length, length * load.pitch):
            if rng.random() > fill:
                continue
            kind = pick(rng, _DECK_CARGO)
            r, c = round(float(x) / cell), round(y / cell + middle)
            place = (slice(r, r + rows), slice(max(c, 0), c + columns))
            base = float(maps.height[r, min(max(c, 0), last_column)])
            maps.height[place] = max(load.least_base_m, base) + load.above_base_m
            maps.material[place] = kind
