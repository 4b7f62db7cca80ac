"""Which cells of a height map a slanting ray from sun or radar cannot reach."""

from __future__ import annotations

import numpy as np

from model_training.simulator.materials import FloatArray
from model_training.simulator.raster import BoolArray


def shifted(field: FloatArray, rows: int, columns: int, fill: float) -> FloatArray:
    """`field` moved by whole cells (down, right); `fill` where nothing moved in."""
    out = np.full_like(field, fill)
    h, w = field.shape
    if abs(rows) >= h or abs(columns) >= w:
        return out
    to = (slice(max(rows, 0), h + min(rows, 0)), slice(max(columns, 0), w + min(columns, 0)))
    source = (
        slice(max(-rows, 0), h + min(-rows, 0)),
        slice(max(-columns, 0), w + min(-columns, 0)),
    )
    out[to] = field[source]
    return out


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
        moved = shifted(limit, round(step * direction[0]), round(step * direction[1]), -1e6)
        moved -= step * drop
        np.maximum(limit, moved, out=limit)
        step *= 2
    return limit > height + max(0.25, 0.5 * drop)
