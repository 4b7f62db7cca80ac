"""Which cells of a height map a slanting ray from sun or radar cannot reach."""

from __future__ import annotations

import numpy as np

from model_training.simulator.raster import BoolArray
from model_training.simulator.ships.materials import FloatArray

_Window = tuple[slice, slice]


def shifted(field: FloatArray, rows: int, columns: int, fill: float) -> FloatArray:
    """`field` moved by whole cells (down, right); `fill` where nothing moved in."""
    out = np.full_like(field, fill)
    to, source = _overlap(field.shape, rows, columns)
    out[to] = field[source]
    return out


def _overlap(shape: tuple[int, ...], rows: int, columns: int) -> tuple[_Window, _Window]:
    """Where a field of `shape`, moved by whole cells, comes to lie on itself, and what lies there.

    Both windows are empty when it is moved beyond its own size.
    """
    down, up = min(max(rows, 0), shape[0]), min(max(-rows, 0), shape[0])
    right, left = min(max(columns, 0), shape[1]), min(max(-columns, 0), shape[1])
    to = (slice(down, shape[0] - up), slice(right, shape[1] - left))
    source = (slice(up, shape[0] - down), slice(left, shape[1] - right))
    return to, source


def shadow_mask(
    height: FloatArray, cell_m: float, direction: tuple[float, float], elevation: float
) -> BoolArray:
    """Cells in the shadow of higher ones.

    The shadow's upper boundary is the maximum over all distances s of
    ``height(p - s * direction) - s * tan(elevation)``; doubling s makes it logarithmic work.

    Args:
        height: metres, ``[rows, columns]``.
        direction: unit vector (rows, columns) in which the rays travel.
        elevation: angle of the rays above the horizon, radians.
    """
    drop = float(np.tan(elevation)) * cell_m
    reach = float(height.max() - height.min())
    limit = height.copy()
    step = 1
    while step * drop < reach and step < 128:
        to, source = _overlap(limit.shape, round(step * direction[0]), round(step * direction[1]))
        np.maximum(limit[to], limit[source] - step * drop, out=limit[to])
        step *= 2
    return limit > height + max(0.25, 0.5 * drop)
