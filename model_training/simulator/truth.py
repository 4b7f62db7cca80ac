"""What the simulator knows and a model may learn from: the deck along the hull."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model_training.simulator.raster import Maps
from model_training.simulator.ships.materials import FloatArray, Material

LAYOUT_CHANNELS: tuple[str, ...] = (
    "mean_height",  # metres above the deck / 10
    "top_height",  # highest structure / 20
    "cross_edges",  # transverse walls: mean |dh/dx| over the beam, clipped at 3 m, / 3
    "side_edges",  # longitudinal walls, likewise
    "hatch",  # share of the deck under hatch covers
    "house",  # share under accommodation, funnel and roofs
    "gear",  # share under cranes, pipes and machinery
    "boxes",  # share under container bays, laden or not
    "width",  # deck width over the greatest beam
)


def layout_along_hull(
    maps: Maps,
    inside: npt.NDArray[np.bool_],
    bays: Sequence[tuple[float, float, float]],
    bins: int,
) -> FloatArray:
    """Permanent layout in equal bins from stern to bow.

    Args:
        maps: the ship with its cranes stowed; `inside`: its outline.
        bays: container bays as (x0, x1, half width) in metres.
        bins: number of bins over the ship's length.

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

    boxes = np.zeros(rows)
    for x0, x1, half in bays:
        boxes[round(x0 / maps.cell_m) : round(x1 / maps.cell_m)] = 2 * half / maps.cell_m / columns
    cross = np.minimum(np.abs(np.diff(height, axis=0, append=height[-1:])), 3.0)
    side = np.minimum(np.abs(np.diff(height, axis=1, append=height[:, -1:])), 3.0)
    channels = np.stack(
        [
            height.sum(1) / width / 10.0,
            height.max(1) / 20.0,
            cross.sum(1) / width / 3.0,
            side.sum(1) / width / 3.0,
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
    """A layout along the hull as a usual crop shows it, sea (all 0) at either end.

    Args:
        layout: float32 ``[bins, channels]``, equal bins over the hull.
        crop_margin: sea at both ends together over the hull's length, as in `SimulatorConfig`.

    Returns:
        float32 ``[bins, channels]``, equal bins over the chip.
    """
    bins = len(layout)
    chip = (np.linspace(0.0, 1.0, bins + 1) - 0.5) * (1.0 + crop_margin) + 0.5
    return _averages(layout, chip * bins)


def _averages(values: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> FloatArray:
    """Means of `values` ``[rows, channels]`` between `edges`, in rows; 0 is what lies outside."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, 0)])
    rows = np.arange(len(values) + 1)
    at = np.stack([np.interp(edges, rows, channel) for channel in total.T], 1)
    return (np.diff(at, axis=0) / np.diff(edges)[:, None]).astype(np.float32)
