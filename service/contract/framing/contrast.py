"""Measure how far each pixel stands out from the water, on a reduced picture of the chip.

Both sensors end in one `ContrastMap`, so that everything after it is the same for both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.chip import Modality
from service.contract.framing.order_statistics import medians, quantile

FloatMap = NDArray[np.float32]

WORKING_SIDE_PX = 160
"""Longest side of the reduced picture; finer detail costs time and adds little."""
_BLOCK_SAMPLES = 4
_BRIGHT = 5.0
"""Contrast of pixels whose brightness counts as the ship's."""
_SORTED_SAMPLE, _COLOUR_SAMPLE = 3000, 1200
"""Pixels that the water's statistics are estimated from, radar and optical."""
_SEA_SHARE = 0.25
"""Share of a radar chip that is surely darker than the ship, even in a tight crop."""
_LEAST_ZEROS, _MOST_ZEROS = 0.02, 0.7
"""Share of zeros between which they are declared no-data. Fewer are chance; more are the sea, as no
picture lies so small in its own margin."""
_BLACK = 2.0
"""Brightness in 8-bit counts below which water may be 0 in all bands."""
_SAR_SPREAD_FLOOR = 0.12
"""Least spread of log amplitude: below it the sea is smooth and small blemishes would stand out."""
_OPTICAL_SPREAD_START = (8.0, 5.0, 4.0)
"""Spread of brightness and the two colour differences that the water's estimate starts from."""
_OPTICAL_SPREAD_FLOOR = 1.5
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
        dynamic: range of the log amplitude of a radar chip, 5th to 98th percentile; 0 for optical.
        speckled: whether brightness varies within the hull as radar's does.
    """

    contrast: FloatMap
    strength: FloatMap
    mass: FloatMap
    factor: int
    speckled: bool
    dynamic: float = 0.0


def reduction_factor(shape: tuple[int, ...]) -> int:
    """Return by how much a chip is reduced: to `WORKING_SIDE_PX` at most, and a pixel at least."""
    return min(max(1, -(-max(shape[:2]) // WORKING_SIDE_PX)), *shape[:2])


def contrast_map(pixels: NDArray[Any], modality: Modality, factor: int) -> ContrastMap:
    """Measure the contrast of every pixel of a reduced chip against the water.

    Args:
        pixels: float32 `[H, W]` amplitude, NaN where nothing was measured; or uint8 `[H, W, 3]`.
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
        return _flat(smooth.shape, factor)
    log = np.log(smooth + np.float32(1e-3 * top))
    level, spread = water_level(log[valid])
    spread = max(spread, _SAR_SPREAD_FLOOR)
    above = np.where(valid, log - np.float32(level), np.float32(0)).astype(np.float32)
    contrast = np.maximum(above / np.float32(spread), 0)
    thinned = max(1, above.size // _SORTED_SAMPLE)
    thin = above.ravel()[::thinned]
    low, high, top_log = (quantile(thin, share) for share in (0.05, 0.98, 0.99))
    reach = max(top_log, 0.7)
    strength = np.clip(above / np.float32(reach), 0, 1)
    bright = reduced[contrast > _BRIGHT]
    bright = bright[:: max(1, bright.size // _SORTED_SAMPLE)]
    cap = quantile(bright, 0.97) if bright.size else top
    # Speckle of the sea must not add up over a wide strip: what counts begins above it.
    sea = float(np.exp(level + 4.0 * spread))
    mass = np.clip((reduced - np.float32(sea)) / np.float32(max(cap - sea, 1e-3 * top)), 0, 1)
    return ContrastMap(contrast, strength, mass, factor, True, float(high - low))


def _reduce_amplitude(amplitude: NDArray[Any], factor: int) -> tuple[FloatMap, NDArray[np.bool_]]:
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
    if _LEAST_ZEROS < zero.mean() < _MOST_ZEROS:  # declared no-data has become 0
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
    brightest = np.maximum(np.maximum(reduced[..., 0], reduced[..., 1]), reduced[..., 2])
    valid = brightest > 0
    if not valid.any():
        return _flat(valid.shape, factor)
    if valid.mean() <= 1 - _MOST_ZEROS or np.median(brightest[valid]) < _BLACK:
        valid = np.ones(valid.shape, np.bool_)
    colour = _opponent_colours(reduced)
    for plane in colour:
        ndimage.uniform_filter(plane, 3, output=plane, mode="nearest")
    centre, spread = _water_colour(colour, valid)
    square = np.zeros(valid.shape, np.float32)
    for plane, middle, width in zip(colour, centre, spread, strict=True):
        away = (plane - middle) / width
        if plane is colour[0]:
            # Shadow keeps the water's hue and is only darker.
            away = np.where(away < 0, away * np.float32(0.3), away)
        square += away * away
    contrast = np.where(valid, np.sqrt(square), np.float32(0))
    # A deck of another paint is no less ship: contrast counts up to a limit only.
    bright = contrast[contrast > _BRIGHT][::4]
    top = quantile(bright, 0.9) if bright.size else 0.0
    start, reach = max(3.0, 0.1 * top), max(9.0, 0.2 * top)
    strength = np.clip((contrast - np.float32(start)) / np.float32(reach), 0, 1)
    return ContrastMap(contrast, strength, strength, factor, False)


def _opponent_colours(rgb: FloatMap) -> FloatMap:
    """Brightness, red against blue and green against both, float32 `[3, h, w]`, in counts."""
    red, green, blue = (rgb[..., band] for band in range(3))
    return np.stack(
        [
            (red + green + blue) / np.float32(3),
            (red - blue) / np.float32(2),
            green / np.float32(2) - (red + blue) / np.float32(4),
        ]
    )


def _water_colour(
    colour: FloatMap, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and spread of the water: the commonest colour of the border, refined on the whole."""
    edge = max(1, min(valid.shape) // 16)
    border = np.zeros(valid.shape, np.bool_)
    border[:edge] = border[-edge:] = True
    border[:, :edge] = border[:, -edge:] = True
    every = colour.reshape(3, -1) if valid.all() else colour[:, valid]
    ring = colour.reshape(3, -1)[:, np.flatnonzero(border & valid)]
    ring = ring if ring.shape[1] >= 8 else every
    centre = _commonest(ring[:, :: max(1, ring.shape[1] // _COLOUR_SAMPLE)])
    spread = np.array(_OPTICAL_SPREAD_START, np.float32)
    every = np.ascontiguousarray(every[:, :: max(1, every.shape[1] // _COLOUR_SAMPLE)])
    for _ in range(3):
        away = np.abs(every - centre[:, None])
        near = every[:, (away < 2.5 * spread[:, None]).all(axis=0)]
        if near.shape[1] < 12:
            break
        centre = medians(near)
        deviation = medians(np.abs(near - centre[:, None]))
        # 1.4826 for a normal distribution, and a little for the clipping.
        # Never wider than before: a window that grows would swallow a dark ship.
        spread = np.clip(1.6 * deviation, _OPTICAL_SPREAD_FLOOR, spread).astype(np.float32)
    return centre.astype(np.float32), spread


def _commonest(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre of the fullest cell of a coarse histogram, cells of 12 counts."""
    cells = np.floor(colours / 12.0).astype(np.int64) + 64
    keys = (cells[0] * 256 + cells[1]) * 256 + cells[2]
    _, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(colours[:, index == int(counts.argmax())].mean(axis=1), np.float32)


def water_level(log: NDArray[np.float32]) -> tuple[float, float]:
    """Level and spread of the darkest population, by clipping what lies above it.

    Starts from the darkest values, where sea and shadow lie, and grows upwards as long as values
    continue the same distribution; the spread is taken below the level, where no ship lies.
    """
    values = np.sort(log.ravel()[:: max(1, log.size // _SORTED_SAMPLE)])
    count = max(int(len(values) * _SEA_SHARE), 1)
    level, spread = float(values[count // 2]), 0.0
    for _ in range(6):
        level = float(values[count // 2])
        below = max(level - float(values[int(count * 0.16)]), 1e-3)
        # Speckle has a long tail of dark values on a log scale: the spread downwards, in
        # amplitude, taken upwards, so exp(level) - p16 = p84 - exp(level).
        spread = float(np.log(2.0 - np.exp(-below)))
        grown = int(np.searchsorted(values, level + 2.5 * spread))
        if grown <= count:
            break
        count = grown
    return level, spread


def block_mean(values: NDArray[Any], factor: int) -> FloatMap:
    """Mean of `factor` x `factor` blocks, float32; rows and columns that fill no block drop out.

    Of large blocks, `_BLOCK_SAMPLES` rows and columns stand for the whole: reading all of a large
    chip would cost more than everything else.
    """
    if factor == 1:
        return values.astype(np.float32)
    rows, columns = (size // factor for size in values.shape[:2])
    picks = sorted({round(x) for x in np.linspace(0, factor - 1, min(factor, _BLOCK_SAMPLES))})
    total = np.zeros((rows, columns, *values.shape[2:]), np.float32)
    for row in picks:
        for column in picks:
            total += values[row : rows * factor : factor, column : columns * factor : factor]
    return np.asarray(total / np.float32(len(picks) ** 2), np.float32)


def _flat(shape: tuple[int, ...], factor: int) -> ContrastMap:
    """Return the map of a chip in which nothing stands out."""
    nothing = np.zeros(shape, np.float32)
    return ContrastMap(nothing, nothing, nothing, factor, False)
