"""Plain scenes with a ship of known place, for tests of framing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality

SIDE_PX = 200
SEA_RGB = (30, 45, 60)
DECK_RGB = (150, 70, 60)


def empty_sea(
    modality: Modality, shape: tuple[int, int] = (SIDE_PX, SIDE_PX), seed: int = 0
) -> NDArray[Any]:
    """Speckled sea of amplitude 0.05, or dark blue water with noise of 2 counts."""
    rng = np.random.default_rng(seed)
    if modality is Modality.SAR:
        return rng.rayleigh(0.05, shape).astype(np.float32)
    water = np.array(SEA_RGB) + rng.normal(0.0, 2.0, (*shape, 3))
    return np.clip(np.rint(water), 0, 255).astype(np.uint8)


def hull_mask(
    shape: tuple[int, int],
    axis_deg: float,
    length: float,
    width: float,
    centre: tuple[float, float] | None = None,
) -> NDArray[np.bool_]:
    """Pixels of a rectangle with a tapered bow; the axis is clockwise from the top."""
    row, column = np.indices(shape).astype(np.float64)
    middle = centre or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    angle = np.radians(axis_deg)
    down, right = row - middle[0], column - middle[1]
    along = -down * np.cos(angle) + right * np.sin(angle)
    across = down * np.sin(angle) + right * np.cos(angle)
    taper = np.clip((length / 2 - along) / (0.12 * length), 0.0, 1.0) ** 0.5
    return np.asarray((np.abs(along) <= length / 2) & (np.abs(across) <= width / 2 * taper))


def add_ship(
    scene: NDArray[Any],
    axis_deg: float,
    length: float = 100.0,
    width: float = 18.0,
    centre: tuple[float, float] | None = None,
    seed: int = 1,
) -> NDArray[Any]:
    """Return a copy of `scene` with a ship: bright speckle, or a reddish deck."""
    mask = hull_mask(scene.shape[:2], axis_deg, length, width, centre)
    rng = np.random.default_rng(seed)
    with_ship = scene.copy()
    if scene.ndim == 2:
        with_ship[mask] = rng.rayleigh(0.8, int(mask.sum())).astype(np.float32)
    else:
        deck = np.array(DECK_RGB) + rng.normal(0.0, 8.0, (int(mask.sum()), 3))
        with_ship[mask] = np.clip(deck, 0, 255).astype(np.uint8)
    return with_ship


def ship_scene(modality: Modality, axis_deg: float, **ship: Any) -> NDArray[Any]:
    """Sea with one ship of 100 x 18 pixels in the middle, unless told otherwise."""
    return add_ship(empty_sea(modality), axis_deg, **ship)
