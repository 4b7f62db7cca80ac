"""How far each pixel stands out from the water, on a reduced picture of the chip.

Both sensors end in one `ContrastMap`, so that everything after it is the same for both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.chip import Modality

FloatMap = NDArray[np.float32]

WORKING_SIDE_PX = 160
"""Longest side of the reduced picture; finer detail costs time and adds little."""
_SORTED_SAMPLE = 6000
"""Pixels that the water's statistics are estimated from."""
_SAR_SPREAD_FLOOR = 0.12
"""Least spread of log amplitude: below it the sea is smooth and small blemishes would stand out."""
_OPTICAL_SPREAD_FLOOR = 3.0
"""Least spread of a colour component, in 8-bit counts."""


@dataclass(frozen=True, slots=True)
class ContrastMap:
    """The reduced picture of a chip as contrast against the water.

    Attributes:
        contrast: float32 `[h, w]`, spreads above the water, 0 for water and shadow.
        strength: float32 `[h, w]`, natural measure of contrast, 0..1 of the brightest parts.
        mass: float32 `[h, w]`, excess of brightness over the water, 0..1: what the hull's ends are
            measured by, since faint side lobes weigh little in it.
        factor: pixels of the chip per pixel of the map.
        valid: bool `[h, w]`, False where the chip holds no measurement.
    """

    contrast: FloatMap
    strength: FloatMap
    mass: FloatMap
    factor: int
    valid: NDArray[np.bool_]


def reduction_factor(shape: tuple[int, ...], side_px: int = WORKING_SIDE_PX) -> int:
    """Return by how much a chip is reduced so that its long side has at most `side_px` pixels."""
    return max(1, -(-max(shape[:2]) // side_px))


def contrast_map(pixels: NDArray[Any], modality: Modality, factor: int) -> ContrastMap:
    """Measure the contrast of every pixel of a reduced chip against the water.

    Args:
        pixels: float32 `[H, W]` amplitude, NaN where nothing was measured; or uint8 `[H, W, 3]`.
        modality: the sensor.
        factor: pixels of the chip per pixel of the map, 1 or more.
    """
    if modality is Modality.SAR:
        return _sar_contrast(pixels, factor)
    return _optical_contrast(pixels, factor)


def _sar_contrast(amplitude: NDArray[Any], factor: int) -> ContrastMap:
    """Log amplitude over the sea's, in spreads of the sea (a CFAR test on log amplitude)."""
    reduced, valid = _reduce_amplitude(amplitude, factor)
    smooth = ndimage.uniform_filter(reduced, 3, mode="nearest")
    top = float(smooth.max())
    if top <= 0.0:
        return _flat(smooth.shape, factor, valid)
    log = np.log(smooth + np.float32(1e-3 * top))
    level, spread = water_level(log[valid])
    above = np.where(valid, log - np.float32(level), np.float32(0))
    contrast = np.maximum(above / np.float32(max(spread, _SAR_SPREAD_FLOOR)), 0)
    reach = max(float(np.quantile(above[:: max(1, factor // 2)], 0.99)), 0.7)
    strength = np.clip(above / np.float32(reach), 0, 1)
    sea = np.float32(np.exp(level))
    bright = smooth[contrast > 5.0]
    cap = np.float32(np.quantile(bright[::max(1, bright.size // 2000)], 0.9) if bright.size else top)
    mass = np.clip((smooth - sea) / max(cap - sea, 1e-6 * top), 0, 1)
    return ContrastMap(contrast, strength, mass, factor, valid)


def _reduce_amplitude(
    amplitude: NDArray[Any], factor: int
) -> tuple[FloatMap, NDArray[np.bool_]]:
    """Mean amplitude of blocks, and which blocks hold measurements; zeros and NaN hold none."""
    reduced = block_mean(amplitude, factor)
    if not np.isfinite(reduced.sum()):
        known = np.isfinite(amplitude)
        share = block_mean(known.astype(np.float32), factor)
        total = block_mean(np.where(known, amplitude, 0).astype(np.float32), factor)
        valid = share > 0.5
        reduced = np.where(valid, total / np.maximum(share, np.float32(1e-6)), 0)
    else:
        valid = np.ones(reduced.shape, np.bool_)
    zero = reduced <= 0
    if zero.mean() > 0.02:  # declared no-data has become 0
        valid &= ~zero
    if not valid.any():
        return np.zeros(reduced.shape, np.float32), np.ones(reduced.shape, np.bool_)
    if not valid.all():
        reduced = np.where(valid, reduced, np.median(reduced[valid]))
    return reduced.astype(np.float32, copy=False), valid


def _optical_contrast(rgb: NDArray[Any], factor: int) -> ContrastMap:
    """Distance of colour from the water's, in spreads of the water; shadow counts as water.

    Colours are brightness and two opponent differences, which wave texture and haze leave alike.
    """
    reduced = block_mean(rgb, factor)
    reduced = ndimage.uniform_filter(reduced, (3, 3, 1), mode="nearest")
    valid = reduced.max(axis=2) > 0
    if not valid.any():
        return _flat(valid.shape, factor, np.ones(valid.shape, np.bool_))
    red, green, blue = (reduced[..., band] for band in range(3))
    colour = np.stack(
        [(red + green + blue) / 3, (red - blue) * 0.5, green * 0.5 - (red + blue) * 0.25], axis=-1
    ).astype(np.float32)
    centre, spread = _water_colour(colour, valid)
    away = (colour - centre) / spread
    # Shadow keeps the water's hue and is only darker.
    away[..., 0] = np.where(away[..., 0] < 0, away[..., 0] * np.float32(0.3), away[..., 0])
    contrast = np.sqrt((away**2).sum(axis=2))
    contrast = np.where(valid, contrast, np.float32(0)).astype(np.float32)
    reach = max(float(np.quantile(contrast, 0.98)), 8.0)
    strength = np.clip(contrast / np.float32(reach), 0, 1)
    return ContrastMap(contrast, strength, strength, factor, valid)


def _water_colour(
    colour: FloatMap, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and spread of the water: the commonest colour of the border, refined on the whole."""
    edge = max(1, min(colour.shape[:2]) // 16)
    border = np.zeros(valid.shape, np.bool_)
    border[:edge] = border[-edge:] = True
    border[:, :edge] = border[:, -edge:] = True
    ring = colour[border & valid]
    every = colour[valid]
    if len(ring) < 8:
        ring = every
    centre = _commonest(ring)
    spread = np.full(3, 8.0, np.float32)
    every = every[:: max(1, len(every) // _SORTED_SAMPLE)]
    for _ in range(4):
        near = every[(np.abs(every - centre) < 2.5 * spread).all(axis=1)]
        if len(near) < 12:
            break
        centre = np.median(near, axis=0)
        deviation = np.abs(near - centre)
        spread = np.maximum(1.6 * np.median(deviation, axis=0), _OPTICAL_SPREAD_FLOOR)
        spread = spread.astype(np.float32)
    return centre.astype(np.float32), spread


def _commonest(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre of the fullest cell of a coarse histogram, cells of 12 counts."""
    cells = np.floor(colours / 12.0).astype(np.int64) + 64
    keys = (cells[:, 0] * 256 + cells[:, 1]) * 256 + cells[:, 2]
    names, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
    fullest = int(counts.argmax())
    return np.asarray(colours[index == fullest].mean(axis=0), np.float32)


def water_level(log: NDArray[np.float32]) -> tuple[float, float]:
    """Level and spread of the darkest population, by clipping what lies above it.

    Starts from the lower half, where sea and shadow lie, and grows upwards as long as values
    continue the same distribution; the spread is taken below the level, where no ship lies.
    """
    values = np.sort(log.ravel()[:: max(1, log.size // _SORTED_SAMPLE)])
    count = max(len(values) // 2, 1)
    level, spread = float(values[count // 2]), 0.0
    for _ in range(4):
        level = float(values[count // 2])
        spread = max(level - float(values[int(count * 0.16)]), 1e-3)
        grown = int(np.searchsorted(values, level + 2.5 * spread))
        if grown <= count:
            break
        count = grown
    return level, spread


def block_mean(values: NDArray[Any], factor: int) -> FloatMap:
    """Mean of `factor` x `factor` blocks, float32; rows and columns that fill no block drop out."""
    if factor == 1:
        return values.astype(np.float32)
    rows, columns = (size // factor for size in values.shape[:2])
    kept = values[: rows * factor, : columns * factor]
    # Rows first, over whole contiguous lines, is several times as fast as both at once.
    lines = kept.reshape(rows, factor, *kept.shape[1:]).sum(axis=1, dtype=np.float32)
    sums = lines.reshape(rows, columns, factor, *kept.shape[2:]).sum(axis=2)
    return np.asarray(sums / np.float32(factor * factor), np.float32)


def _flat(shape: tuple[int, ...], factor: int, valid: NDArray[np.bool_]) -> ContrastMap:
    """The map of a chip in which nothing stands out."""
    nothing = np.zeros(shape[:2], np.float32)
    return ContrastMap(nothing, nothing, nothing, factor, valid)
