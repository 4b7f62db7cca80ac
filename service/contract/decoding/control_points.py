"""Fit ground control points around a chip."""

import math
from collections.abc import Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

POLAR_FROM_DEG = 80.0
"""From this latitude on points are fitted on a polar map: around a pole, degrees bend."""
NORTH_POLAR, SOUTH_POLAR = "EPSG:3995", "EPSG:3031"
MAX_RESIDUAL_PIXELS = 3.0
"""Points of a scene agree with their neighbours better than this; a wrong one does not."""
MIN_FLATNESS = 1e-6
"""Spread of points across a line, as a share of their spread along it, that is no line."""
NEIGHBOURS = 9
"""Points that a local fit uses: three by three of a grid, for the six terms of a quadratic."""


def local_transform(
    points: Sequence[GroundControlPoint], crs: CRS, width: int, height: int
) -> tuple[Affine | None, CRS, list[str]]:
    """Fit an affine transform to the points around the chip's centre.

    A chip cut out of a scene may keep the control points of the whole scene, over which no affine
    holds: positions would be kilometres off and pixels stretched. A quadratic is fitted to the
    nearest points, and its value and slopes at the chip's centre are kept.
    Longitudes are unwrapped around the nearest point, so that the antimeridian is no jump.

    Args:
        points: at least three, with pixel (row, column) and map (x, y) coordinates.

    Returns:
        pixel (column, row) -> map; None where the points lie on a line or are not finite; the
        coordinate system of that map; and notes for the analyst.
    """
    pixel = np.array([(p.col, p.row) for p in points], dtype=float)
    ground = np.array([(p.x, p.y) for p in points], dtype=float)
    if not (np.isfinite(pixel).all() and np.isfinite(ground).all()):
        return None, crs, [_ignored("are not finite")]
    centre = np.array([width / 2, height / 2])
    order = np.argsort(np.hypot(*(_spacing_units(pixel, centre)).T), kind="stable")
    pixel, ground = pixel[order] - centre, ground[order]
    if crs.is_geographic and POLAR_FROM_DEG <= abs(ground[0, 1]) <= 90:
        polar = CRS.from_string(NORTH_POLAR if ground[0, 1] > 0 else SOUTH_POLAR)
        ground, crs = np.array(reproject(crs, polar, *ground.T)).T, polar
    elif crs.is_geographic:
        ground[:, 0] = _unwrapped(ground[:, 0])
    near = _nearest_that_span(pixel)
    if near is None:
        return None, crs, [_ignored("lie on a line")]
    fit, residuals = _fit(pixel[:near], ground[:near])
    worst = _worst_pixels(fit, residuals)
    if worst > max(width, height):
        return None, crs, [_ignored(f"contradict each other by {worst:.0f} pixels")]
    (x, dx_col, dx_row), (y, dy_col, dy_row) = fit
    transform = Affine(dx_col, dx_row, x, dy_col, dy_row, y) @ Affine.translation(*-centre)
    return transform, crs, _notes(worst, pixel)


def _ignored(reason: str) -> str:
    return f"the ground control points {reason} and were ignored; send gsd_m, lat and lon"


def _worst_pixels(fit: NDArray[np.float64], residuals: NDArray[np.float64]) -> float:
    """Return by how many pixels the fit misses the point that it misses most."""
    pixel_size = math.sqrt(abs(float(np.linalg.det(fit[:, 1:])))) or 1.0
    return float(np.abs(residuals).max()) / pixel_size


def _spacing_units(pixel: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return offsets from the centre in units of the grid, whose columns and rows may differ."""
    spacing = [_typical_step(pixel[:, axis]) for axis in (0, 1)]
    offsets: NDArray[np.float64] = (pixel - centre) / np.array(spacing)
    return offsets


def _typical_step(values: NDArray[np.float64]) -> float:
    steps = np.diff(np.unique(np.round(values, 3)))
    return float(np.median(steps)) if steps.size else 1.0


def _unwrapped(longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    first = longitudes[0]
    unwrapped: NDArray[np.float64] = first + (longitudes - first + 180.0) % 360.0 - 180.0
    return unwrapped


def _nearest_that_span(pixel: NDArray[np.float64]) -> int | None:
    """Return how many of the nearest points to fit, so that they do not lie on a line."""
    number = np.arange(1, len(pixel) + 1)
    x, y = (pixel - pixel[0]).T
    mean_x, mean_y = np.cumsum(x) / number, np.cumsum(y) / number
    xx = np.cumsum(x * x) / number - mean_x**2
    yy = np.cumsum(y * y) / number - mean_y**2
    xy = np.cumsum(x * y) / number - mean_x * mean_y
    # The determinant and the trace of each covariance are its eigenvalues' product and sum.
    spanning = xx * yy - xy**2 > MIN_FLATNESS**2 * (xx + yy) ** 2
    found = np.flatnonzero(spanning & (number >= min(NEIGHBOURS, len(pixel))))
    return int(number[found[0]]) if found.size else None


def _fit(
    pixel: NDArray[np.float64], ground: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares of map coordinates around the centre: value and two slopes of x and y.

    With enough points a quadratic is fitted, of which value and slopes at the centre are kept.

    Returns:
        `[2, 3]`; and how far the fit misses each point, in map units, `[N, 2]`.
    """
    c, r = pixel.T
    scale = max(float(np.abs(pixel).max()), 1.0)
    terms = [np.ones_like(c), c / scale, r / scale]
    if len(pixel) >= NEIGHBOURS:
        terms += [(c / scale) ** 2, c * r / scale**2, (r / scale) ** 2]
    equations = np.stack(terms, axis=1)
    solution, *_ = np.linalg.lstsq(equations, ground, rcond=None)
    return solution[:3].T / np.array([1.0, scale, scale]), equations @ solution - ground


def _notes(worst: float, pixel: NDArray[np.float64]) -> list[str]:
    """Warn where the chip lies outside its control points, or where they contradict each other."""
    inside = all(pixel[:, axis].min() <= 0.0 <= pixel[:, axis].max() for axis in (0, 1))
    if not inside:
        return [
            "the chip lies outside its ground control points, so its position and pixel size are "
            f"extrapolated (the points themselves are met within {worst:.1f} pixels)"
        ]
    if worst > MAX_RESIDUAL_PIXELS:
        return [
            f"the ground control points contradict each other by {worst:.1f} pixels, so the "
            "position and the pixel size may be wrong; send gsd_m, lat and lon"
        ]
    return []
