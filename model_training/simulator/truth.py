"""Measure the deck layout along the hull, from which a model may learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_training.simulator.raster import Maps
from model_training.simulator.ships.materials import FloatArray, Material

_MEAN_HEIGHT_UNIT_M = 10.0
_TOP_HEIGHT_UNIT_M = 20.0
_STEP_UNIT_M = 3.0  # a storey; the step of a higher wall is cut to it
"""Units that bring most values into 0..1; chosen by eye."""

LAYOUT_CHANNELS: tuple[str, ...] = (
    "mean_height",  # height above the main deck, in units of 10 m
    "top_height",  # highest structure, in units of 20 m
    "cross_edges",  # transverse walls: mean step along x over the beam, clipped, in 3 m
    "side_edges",  # longitudinal walls: mean step along y over the beam, clipped, in 3 m
    "hatch",  # share of the deck under hatch covers
    "house",  # share under accommodation, funnel and roofs
    "gear",  # share under cranes, pipes and machinery
    "boxes",  # share of the beam under container bays, laden or empty
    "width",  # deck width over the greatest beam
)


def layout_along_hull(
    maps: Maps, inside: npt.NDArray[np.bool_], bays: Sequence[tuple[float, float, float]], bins: int
) -> FloatArray:
    """Measure the permanent layout in equal bins from stern to bow.

    Args:
        maps: the ship with its cranes stowed.
        inside: deck outline, ``[rows, columns]``.
        bays: container bays as (x0, x1, half width) in metres.

    Returns:
        float32 ``[bins, len(LAYOUT_CHANNELS)]``, values 0 to about 2, stern first.
    """
    rows, columns = inside.shape
    height = np.where(inside, maps.height, 0.0)
    width = np.maximum(inside.sum(1), 1)
    material = maps.material

    def share(*kinds: Material) -> npt.NDArray[np.float64]:
        counts = np.zeros(int(Material.COUNT), bool)
        counts[list(kinds)] = True
        found = counts[material] & inside
        covered: npt.NDArray[np.float64] = found.sum(1) / width
        return covered

    boxes = np.zeros(rows)  # share of the beam, row by row
    for x0, x1, half in bays:
        boxes[round(x0 / maps.cell_m) : round(x1 / maps.cell_m)] = 2 * half / maps.cell_m / columns
    cross = np.minimum(np.abs(np.diff(height, axis=0, append=height[-1:])), _STEP_UNIT_M)
    side = np.minimum(np.abs(np.diff(height, axis=1, append=height[:, -1:])), _STEP_UNIT_M)
    channels = np.stack(  # [rows, channels], in the order of LAYOUT_CHANNELS
        [
            height.sum(1) / width / _MEAN_HEIGHT_UNIT_M,
            height.max(1) / _TOP_HEIGHT_UNIT_M,
            cross.sum(1) / width / _STEP_UNIT_M,
            side.sum(1) / width / _STEP_UNIT_M,
            share(Material.HATCH, Material.COAMING),
            share(Material.HOUSE, Material.HOUSE_ROOF, Material.FUNNEL, Material.ROOF),
            share(Material.CRANE, Material.PIPE, Material.MACHINERY),
            np.minimum(boxes, 1.0),
            width / columns,
        ],
        axis=1,
    )
    return _averages(channels, np.linspace(0, rows, bins + 1))


def layout_in_crop(layout: FloatArray, crop_margin: float) -> FloatArray:
    """Place a layout along the hull where a usual crop shows it, with sea (0) at either end.

    Args:
        layout: float32 ``[bins, channels]``, equal bins over the hull.
        crop_margin: sea at both ends together over the hull's length, as `SimulatorConfig` has it.

    Returns:
        float32 ``[bins, channels]``, equal bins over the chip.
    """
    bins = len(layout)
    # Bin edges of the chip, as shares of the hull: 0 at its top end, 1 at its bottom end.
    chip = (np.linspace(0.0, 1.0, bins + 1) - 0.5) * (1.0 + crop_margin) + 0.5
    return _averages(layout, chip * bins)


def _averages(values: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> FloatArray:
    """Average `values` ``[rows, channels]`` between `edges`, in rows; outside, values are 0."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, 0)])
    rows = np.arange(len(values) + 1)
    at = np.stack([np.interp(edges, rows, channel) for channel in total.T], 1)
    return (np.diff(at, axis=0) / np.diff(edges)[:, None]).astype(np.float32)
