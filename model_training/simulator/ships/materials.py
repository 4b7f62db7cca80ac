"""What surfaces are made of: colour for the camera, roughness for the radar."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

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


_BOXES = (
    (0.42, 0.12, 0.09),
    (0.36, 0.10, 0.08),
    (0.10, 0.16, 0.36),
    (0.50, 0.20, 0.07),
    (0.62, 0.62, 0.60),
    (0.10, 0.28, 0.18),
    (0.34, 0.34, 0.36),
    (0.48, 0.36, 0.20),
)

_DECKS = (
    (0.36, 0.11, 0.085),  # oxide red
    (0.42, 0.15, 0.10),
    (0.28, 0.09, 0.08),
    (0.33, 0.16, 0.12),
    (0.10, 0.21, 0.15),  # green
    (0.13, 0.26, 0.22),
    (0.15, 0.18, 0.22),  # grey-blue
    (0.25, 0.26, 0.27),
    (0.09, 0.12, 0.18),
    (0.30, 0.24, 0.15),
    (0.08, 0.14, 0.34),  # blue
)
_PALE = ((0.62, 0.63, 0.62), (0.54, 0.52, 0.46), (0.50, 0.56, 0.58))
_CRANES = ((0.62, 0.62, 0.60), (0.55, 0.44, 0.12), (0.50, 0.28, 0.10), (0.40, 0.44, 0.48))
_HULLS = ((0.05, 0.05, 0.06), (0.05, 0.08, 0.22), (0.30, 0.08, 0.07), (0.10, 0.2, 0.14))
_FUNNELS = (
    (0.6, 0.6, 0.6),
    (0.5, 0.1, 0.08),
    (0.08, 0.12, 0.4),
    (0.5, 0.4, 0.08),
    (0.05, 0.05, 0.05),
)


def draw_palette(
    deck: str, class_rng: np.random.Generator, own_rng: np.random.Generator
) -> FloatArray:
    """A vessel's own paint: float32 ``[Material.COUNT, 3]`` reflectances, 0..1, RGB.

    Sister ships share the owner's colours two times in three; each wears its own shade.
    """
    rng = class_rng if own_rng.random() < 0.66 else own_rng
    deck_colour = np.array(_DECKS[int(rng.integers(len(_DECKS)))])
    pale_share = {"car_carrier": 0.85, "ro_ro": 0.6, "ferry": 0.8, "patrol": 0.0}.get(deck, 0.04)
    if rng.random() < pale_share:
        deck_colour = np.array(_PALE[int(rng.integers(len(_PALE)))])
    if deck == "patrol":
        deck_colour = np.array((0.26, 0.28, 0.30)) * rng.uniform(0.7, 1.3)
    palette = np.zeros((int(Material.COUNT), 3), np.float64)
    palette[Material.DECK] = deck_colour
    palette[Material.FOREDECK] = deck_colour * rng.uniform(0.75, 1.25)
    hatch = deck_colour * rng.uniform(0.85, 1.3)
    if rng.random() < 0.3:
        hatch = np.array((_DECKS + _PALE)[int(rng.integers(len(_DECKS) + len(_PALE)))])
    palette[Material.HATCH] = hatch
    palette[Material.COAMING] = deck_colour * rng.uniform(0.7, 1.2)
    white = np.array((0.68, 0.68, 0.66)) * rng.uniform(0.8, 1.1)
    if rng.random() < 0.12:
        white = np.array((0.55, 0.5, 0.38))
    if deck == "patrol":
        white = deck_colour * 1.3
    palette[Material.HOUSE] = white
    palette[Material.HOUSE_ROOF] = (
        white * rng.uniform(0.6, 1.0) if rng.random() < 0.6 else (deck_colour * 1.1)
    )
    palette[Material.FUNNEL] = _FUNNELS[int(rng.integers(len(_FUNNELS)))]
    palette[Material.CRANE] = _CRANES[int(rng.integers(len(_CRANES)))]
    palette[Material.PIPE] = deck_colour * 1.2 if rng.random() < 0.6 else (0.5, 0.5, 0.48)
    palette[Material.MACHINERY] = deck_colour * rng.uniform(0.7, 1.3) + rng.uniform(0.0, 0.12)
    palette[Material.TANK] = white if rng.random() < 0.6 else _DECKS[int(rng.integers(len(_DECKS)))]
    palette[Material.WHITE_MARK] = (0.72, 0.72, 0.68)
    palette[Material.YELLOW_MARK] = (0.62, 0.52, 0.14)
    palette[Material.HOLD] = (0.04, 0.035, 0.03)
    palette[Material.ROOF] = deck_colour if deck in {"car_carrier", "ro_ro"} else white
    palette[Material.BOAT] = (0.62, 0.2, 0.05)
    palette[Material.HULL] = _HULLS[int(rng.integers(len(_HULLS)))]
    palette[Material.CARGO] = np.array((0.3, 0.22, 0.15)) * rng.uniform(0.5, 1.8)
    palette[Material.BOX_0 : Material.COUNT] = np.array(_BOXES) * rng.uniform(0.85, 1.15, (8, 1))
    palette *= own_rng.uniform(0.88, 1.12, (palette.shape[0], 1))
    return np.clip(palette, 0.0, 0.9).astype(np.float32)


# Strength of the diffuse radar return of a horizontal surface, amplitude squared in the product's
# own units (see `sar`): bare plating mirrors the pulse away, machinery and pipes throw it back.
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
