"""Find the cells of a height map that slanting rays from sun or radar cannot reach."""

from __future__ import annotations

import numpy as np

from model_training.simulator.raster import BoolArray
from model_training.simulator.ships.materials import FloatArray

_Window = tuple[slice, slice]
_LONGEST_STEP = 128  # cells; steps of 1, 2, .. 64 reach 127 cells, longer shadows are cut
_LEAST_DEPTH_M = 0.25  # lower shadows are errors of rounding to whole cells; chosen by eye


def shifted(field: FloatArray, rows: int, columns: int, fill: float) -> FloatArray:
    """Move `field` by whole cells down and right, and fill the cells that become free."""
    out = np.full_like(field, fill)
    to, source = _overlap(field.shape, rows, columns)
    out[to] = field[source]
    return out


def _overlap(shape: tuple[int, ...], rows: int, columns: int) -> tuple[_Window, _Window]:
    """Return the window that a moved field of `shape` still covers, and where it came from.

    Both windows are empty when the field is moved beyond its own size.
    """
    down, up = min(max(rows, 0), shape[0]), min(max(-rows, 0), shape[0])
    right, left = min(max(columns, 0), shape[1]), min(max(-columns, 0), shape[1])
    to = (slice(down, shape[0] - up), slice(right, shape[1] - left))
    source = (slice(up, shape[0] - down), slice(left, shape[1] - right))
    return to, source


def shadow_mask(
    height: FloatArray, cell_m: float, direction: tuple[float, float], elevation: float
) -> BoolArray:
    """Return the cells in the shadow of higher ones, ``[rows, columns]``.

    The shadow's upper boundary at p is the maximum over all distances s of
    ``height(p - s * direction) - s * tan(elevation)``. Doubling s at each step makes the number
    of steps logarithmic in the length of the longest shadow.

    Args:
        height: metres, ``[rows, columns]``.
        direction: unit vector (rows, columns) in which the rays travel.
        elevation: angle of the rays above the horizon, radians.
    """
    drop = float(np.tan(elevation)) * cell_m
    reach = float(height.max() - height.min())
    limit = height.copy()
    step = 1
    while step * drop < reach and step < _LONGEST_STEP:
        to, source = _overlap(limit.shape, round(step * direction[0]), round(step * direction[1]))
        np.maximum(limit[to], limit[source] - step * drop, out=limit[to])
        step *= 2
    return limit > height + max(_LEAST_DEPTH_M, 0.5 * drop)
