"""Materials of surfaces: colour for the camera, roughness for the radar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from model_training.simulator.draws import Range, Rng, chance, pick, uniform

FloatArray = npt.NDArray[np.float32]


class Material(IntEnum):
    """Index into a vessel's palette."""

    WATER = 0
    DECK = 1
    FOREDECK = 2
    HATCH = 3
    COAMING = 4
    HOUSE = 5
    HOUSE_ROOF = 6
    FUNNEL = 7
    CRANE = 8
    PIPE = 9
    MACHINERY = 10
    TANK = 11
    WHITE_MARK = 12
    YELLOW_MARK = 13
    HOLD = 14
    ROOF = 15
    BOAT = 16
    HULL = 17
    CARGO = 18
    BOX_0 = 19  # eight container colours follow
    COUNT = 27


Colour = tuple[float, float, float]
"""Reflectance in red, green and blue, 0..1."""

# All colours are chosen by eye.
_BOXES: tuple[Colour, ...] = (
    (0.42, 0.12, 0.09),  # brick red
    (0.36, 0.10, 0.08),  # brown
    (0.10, 0.16, 0.36),  # blue
    (0.50, 0.20, 0.07),  # orange
    (0.62, 0.62, 0.60),  # white
    (0.10, 0.28, 0.18),  # green
    (0.34, 0.34, 0.36),  # grey
    (0.48, 0.36, 0.20),  # ochre
)
_DECKS: tuple[Colour, ...] = (
    (0.36, 0.11, 0.085),  # oxide red
    (0.42, 0.15, 0.10),
    (0.28, 0.09, 0.08),
    (0.33, 0.16, 0.12),
    (0.10, 0.21, 0.15),  # green
    (0.13, 0.26, 0.22),
    (0.15, 0.18, 0.22),  # grey-blue
    (0.25, 0.26, 0.27),
    (0.09, 0.12, 0.18),
    (0.30, 0.24, 0.15),  # brown
    (0.08, 0.14, 0.34),  # blue
)
_PALE_DECKS: tuple[Colour, ...] = ((0.62, 0.63, 0.62), (0.54, 0.52, 0.46), (0.50, 0.56, 0.58))
_CRANES: tuple[Colour, ...] = (
    (0.62, 0.62, 0.60),  # white
    (0.55, 0.44, 0.12),  # yellow
    (0.50, 0.28, 0.10),  # orange
    (0.40, 0.44, 0.48),  # grey
)
_HULLS: tuple[Colour, ...] = (
    (0.05, 0.05, 0.06),  # black
    (0.05, 0.08, 0.22),  # blue
    (0.30, 0.08, 0.07),  # red
    (0.10, 0.2, 0.14),  # green
)
_FUNNELS: tuple[Colour, ...] = (
    (0.6, 0.6, 0.6),  # white
    (0.5, 0.1, 0.08),  # red
    (0.08, 0.12, 0.4),  # blue
    (0.5, 0.4, 0.08),  # yellow
    (0.05, 0.05, 0.05),  # black
)
_WHITE: Colour = (0.68, 0.68, 0.66)
_CREAM: Colour = (0.55, 0.5, 0.38)
_NAVAL_GREY: Colour = (0.26, 0.28, 0.30)
_GALVANISED: Colour = (0.5, 0.5, 0.48)
_WHITE_MARK: Colour = (0.72, 0.72, 0.68)
_YELLOW_MARK: Colour = (0.62, 0.52, 0.14)
_OPEN_HOLD: Colour = (0.04, 0.035, 0.03)
_BOAT_ORANGE: Colour = (0.62, 0.2, 0.05)
_CARGO_BROWN: Colour = (0.3, 0.22, 0.15)

_PALE_DECK_SHARE = {"car_carrier": 0.85, "ro_ro": 0.6, "ferry": 0.8, "patrol": 0.0}
"""Share of ships with a pale deck by `VesselType.deck`; chosen by eye."""
_PALE_DECK_SHARE_ELSEWHERE = 0.04
_ROOFED_DECKS = {"car_carrier", "ro_ro"}  # their roof is the deck, painted like one


@dataclass(frozen=True, slots=True)
class PaintRanges:
    """How a ship's paint is composed; factors are relative to the deck's or the house's colour.

    All are chosen by eye.
    """

    owner_colours_share: float = 0.66  # sister ships that share the owner's colours
    naval_grey: Range = (0.7, 1.3)
    naval_house: float = 1.3
    foredeck: Range = (0.75, 1.25)
    hatch: Range = (0.85, 1.3)
    other_hatch_share: float = 0.3  # hatch covers of a colour of their own
    coaming: Range = (0.7, 1.2)
    white: Range = (0.8, 1.1)
    cream_share: float = 0.12
    house_roof_share: float = 0.6  # roofs in the house's colour, else in the deck's
    house_roof: Range = (0.6, 1.0)
    deck_coloured_roof: float = 1.1
    painted_pipe_share: float = 0.6  # else galvanised
    pipe: float = 1.2
    machinery: Range = (0.7, 1.3)
    machinery_more: Range = (0.0, 0.12)
    white_tank_share: float = 0.6
    cargo: Range = (0.5, 1.8)
    box: Range = (0.85, 1.15)
    own_shade: Range = (0.88, 1.12)  # of each material, different on sister ships
    most: float = 0.9  # reflectance of the brightest paint


PAINT = PaintRanges()


def draw_palette(deck: str, class_rng: Rng, own_rng: Rng) -> FloatArray:
    """Draw the paint of a vessel.

    Two sister ships in three share the owner's colours; each has its own shade of them.

    Args:
        deck: `VesselType.deck` of its type.

    Returns:
        float32 ``[Material.COUNT, 3]``, reflectance 0..0.9 in red, green and blue.
    """
    rng = class_rng if chance(own_rng, PAINT.owner_colours_share) else own_rng
    deck_colour = np.array(pick(rng, _DECKS))
    if chance(rng, _PALE_DECK_SHARE.get(deck, _PALE_DECK_SHARE_ELSEWHERE)):
        deck_colour = np.array(pick(rng, _PALE_DECKS))
    if deck == "patrol":
        deck_colour = np.array(_NAVAL_GREY) * uniform(rng, PAINT.naval_grey)
    palette = np.zeros((int(Material.COUNT), 3), np.float64)
    palette[Material.DECK] = deck_colour
    palette[Material.FOREDECK] = deck_colour * uniform(rng, PAINT.foredeck)
    hatch = deck_colour * uniform(rng, PAINT.hatch)
    if chance(rng, PAINT.other_hatch_share):
        hatch = np.array(pick(rng, _DECKS + _PALE_DECKS))
    palette[Material.HATCH] = hatch
    palette[Material.COAMING] = deck_colour * uniform(rng, PAINT.coaming)
    white = np.array(_WHITE) * uniform(rng, PAINT.white)
    if chance(rng, PAINT.cream_share):
        white = np.array(_CREAM)
    if deck == "patrol":
        white = deck_colour * PAINT.naval_house
    _paint_fittings(palette, deck_colour, white, rng)
    palette[Material.ROOF] = deck_colour if deck in _ROOFED_DECKS else white
    palette[Material.HULL] = pick(rng, _HULLS)
    palette[Material.CARGO] = np.array(_CARGO_BROWN) * uniform(rng, PAINT.cargo)
    boxes = rng.uniform(*PAINT.box, (len(_BOXES), 1))
    palette[Material.BOX_0 : Material.COUNT] = np.array(_BOXES) * boxes
    palette *= own_rng.uniform(*PAINT.own_shade, (palette.shape[0], 1))
    return np.clip(palette, 0.0, PAINT.most).astype(np.float32)


def _paint_fittings(
    palette: npt.NDArray[np.float64],
    deck_colour: npt.NDArray[np.float64],
    white: npt.NDArray[np.float64],
    rng: Rng,
) -> None:
    """Paint house, funnel, cranes, pipes, machinery, tanks, marks, holds and boats."""
    palette[Material.HOUSE] = white
    palette[Material.HOUSE_ROOF] = (
        white * uniform(rng, PAINT.house_roof)
        if chance(rng, PAINT.house_roof_share)
        else deck_colour * PAINT.deck_coloured_roof
    )
    palette[Material.FUNNEL] = pick(rng, _FUNNELS)
    palette[Material.CRANE] = pick(rng, _CRANES)
    painted_pipes = chance(rng, PAINT.painted_pipe_share)
    palette[Material.PIPE] = deck_colour * PAINT.pipe if painted_pipes else _GALVANISED
    machinery = deck_colour * uniform(rng, PAINT.machinery)
    palette[Material.MACHINERY] = machinery + uniform(rng, PAINT.machinery_more)
    palette[Material.TANK] = white if chance(rng, PAINT.white_tank_share) else pick(rng, _DECKS)
    palette[Material.WHITE_MARK] = _WHITE_MARK
    palette[Material.YELLOW_MARK] = _YELLOW_MARK
    palette[Material.HOLD] = _OPEN_HOLD
    palette[Material.BOAT] = _BOAT_ORANGE


# Strength of the diffuse radar return of a horizontal surface, amplitude squared in the product's
# own units (see `sar`): bare plating mirrors the pulse away, machinery and pipes throw it back.
# Chosen by eye so that the values of SAR chips are spread like genuine ones (docs/simulator.md).
ROUGHNESS: FloatArray = np.array(
    [
        0.0,  # water has its own clutter
        0.004,  # DECK
        0.3,  # FOREDECK
        0.002,  # HATCH
        0.3,  # COAMING
        45.0,  # HOUSE
        30.0,  # HOUSE_ROOF
        35.0,  # FUNNEL
        2.0,  # CRANE
        3.0,  # PIPE
        4.0,  # MACHINERY
        0.05,  # TANK
        0.004,  # WHITE_MARK
        0.004,  # YELLOW_MARK
        0.3,  # HOLD
        0.01,  # ROOF
        2.0,  # BOAT
        0.02,  # HULL
        1.0,  # CARGO
        *([0.4] * 8),  # containers
    ],
    np.float32,
)
