"""The ship's outline: heading axis and the rectangle around the hull."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.framing.candidates import Candidate
from service.contract.framing.contrast import ContrastMap

FloatArray = NDArray[np.float64]

_FITTED_POINTS = 1500
_BIN_PX = 0.5
_STRIP = 0.85
"""Half width of the strip along the axis in which the hull is measured, over the ship's width."""
_REACH = 0.75
"""Half length of that strip over the ship's length."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in pixels: row and column of its centre, sides, and axis of the long side.

    The axis is in degrees clockwise from the top, 0 to below 180.
    """

    row: float
    column: float
    length: float
    width: float
    axis_deg: float

    def scaled(self, factor: float) -> "Rectangle":
        """Return the rectangle in pixels that are `factor` times finer."""
        return Rectangle(
            (self.row + 0.5) * factor - 0.5,
            (self.column + 0.5) * factor - 0.5,
            self.length * factor,
            self.width * factor,
            self.axis_deg,
        )

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return x (column) and y (row) of the four corners, in turn round the rectangle."""
        along, across = _directions(np.array([self.axis_deg]))
        half_along, half_across = along[:, 0] * self.length / 2, across[:, 0] * self.width / 2
        centre = np.array([self.row, self.column])
        signs = ((1, -1), (1, 1), (-1, 1), (-1, -1))
        points = [centre + a * half_along + b * half_across for a, b in signs]
        return tuple((float(column), float(row)) for row, column in points)


def fit_outline(found: ContrastMap, ship: Candidate) -> Rectangle:
    """Fit the axis by the sharpest profile across the hull, then the hull's ends and sides.

    Returns:
        The rectangle around the hull, in pixels of the map.
    """
    points, weights = _sample(found, ship)
    axis = _sharpest_axis(points, weights, ship.axis_deg)
    return _extent(found, ship, axis)


def _sample(found: ContrastMap, ship: Candidate) -> tuple[FloatArray, FloatArray]:
    """Places `[N, 2]` and weights `[N]` of the region's pixels, thinned evenly."""
    step = max(1, ship.rows.size // _FITTED_POINTS)
    rows, columns = ship.rows[::step], ship.columns[::step]
    points = np.stack([rows - ship.centre[0], columns - ship.centre[1]], axis=1)
    return points, found.strength[rows, columns].astype(np.float64)


def _directions(axes_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (row, column) along and across each axis, `[2, A]` each."""
    angle = np.radians(axes_deg)
    return (
        np.stack([-np.cos(angle), np.sin(angle)]),
        np.stack([np.sin(angle), np.cos(angle)]),
    )


def _sharpest_axis(points: FloatArray, weights: FloatArray, start_deg: float) -> float:
    """Axis along which the profile across is most concentrated (energy of the Radon transform).

    The parallel sides of the hull decide; side lobes, wake and the tower's layover spread thinly
    over the profile and hardly change its energy, while they turn a principal axis.
    """
    best = start_deg
    for offsets in (np.arange(-24, 25, 4.0), np.arange(-3, 4, 1.0), np.arange(-3, 4) / 4):
        axes = best + offsets
        across = points @ _directions(axes)[1]  # [N, A]
        profile = _profiles(across, weights)
        energy = (ndimage.gaussian_filter1d(profile, 1.5, axis=1) ** 2).sum(axis=1)
        best = float(axes[energy.argmax()])
    return best % 180.0


def _profiles(places: FloatArray, weights: FloatArray) -> FloatArray:
    """Histogram of `places` `[N, A]` weighted by `weights` `[N]`, a row for each A."""
    lowest = places.min()
    bins = int((places.max() - lowest) / _BIN_PX) + 2
    columns = places.shape[1]
    index = ((places - lowest) / _BIN_PX).astype(np.intp) + np.arange(columns) * bins
    repeated = np.broadcast_to(weights[:, None], places.shape)
    counts = np.bincount(index.ravel(), repeated.ravel(), bins * columns)
    return counts.reshape(columns, bins)


def _extent(found: ContrastMap, ship: Candidate, axis: float) -> Rectangle:
    """Measure where the hull ends along and across `axis`."""
    along, across = (vector[:, 0] for vector in _directions(np.array([axis])))
    points = np.stack([ship.rows - ship.centre[0], ship.columns - ship.centre[1]], axis=1)
    u, v = points @ along, points @ across
    weight = found.mass[ship.rows, ship.columns]
    u0, u1 = _limits(u, weight, 0.006)
    v0, v1 = _limits(v, weight, 0.02)
    middle = np.array(ship.centre) + along * (u0 + u1) / 2 + across * (v0 + v1) / 2
    return Rectangle(float(middle[0]), float(middle[1]), u1 - u0 + 1, v1 - v0 + 1, axis)


def _limits(places: FloatArray, weights: NDArray[np.floating], cut: float) -> tuple[float, float]:
    """Quantiles `cut` and `1 - cut` of weighted places."""
    order = np.argsort(places)
    total = np.cumsum(weights[order])
    first, last = np.searchsorted(total, [cut * total[-1], (1 - cut) * total[-1]])
    return float(places[order[first]]), float(places[order[min(last, len(order) - 1)]])
