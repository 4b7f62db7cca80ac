"""The ship's outline: heading axis and the rectangle around the hull."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from service.contract.framing.candidates import Candidate
from service.contract.framing.contrast import ContrastMap
from service.contract.framing.order_statistics import quantile
from service.contract.framing.rectangle import Rectangle

FloatArray = NDArray[np.float64]

_FITTED_POINTS = 1500
_BIN_PX = 0.5
_GAP = 0.12
"""Dark stretch of the hull that does not end it, over the region's extent."""
_EVEN, _SHARE = (0.45, 0.8), (0.12, 0.3)
"""A radar hull ends where its profile falls below a share of its own level: 0.12 of it where the
upper quartile of the brightness is 0.45 or less, 0.3 from 0.8 on. In such even hulls the product
has clipped the brightest parts, and side lobes are as bright as decks elsewhere."""
_FAINT_REACH = 0.5
"""How far faint ends may reach beyond the bright hull, over its length."""
_LEAST_FAINT = 0.07
"""Shorter faint ends, over the length, are taken for blur."""
_FAINT_CONTRAST = 5.5
"""Contrast, in spreads of the sea, from which a pixel is part of a faint end."""
_FAINT_FILL = 0.5
"""Share of the hull's width that such pixels must fill."""
_OPTICAL_SHARES = (0.12, 0.4)
"""Shares of the level at which optical hulls end, along and across: the bow tapers, the sides do
not."""


def _edge_kernel(blur: float) -> FloatArray:
    """Derivative of a normal distribution with this standard deviation, up to 4 of them."""
    places = np.arange(-int(4 * blur + 0.5), int(4 * blur + 0.5) + 1, dtype=np.float64)
    bell = np.exp(-0.5 * (places / blur) ** 2)
    return np.asarray(places * bell / (bell.sum() * blur**2), np.float64)


_WIDE_EDGE, _NARROW_EDGE = _edge_kernel(2.5), _edge_kernel(1.5)


def fit_outline(found: ContrastMap, ship: Candidate, others: Sequence[Candidate]) -> Rectangle:
    """Fit the axis by the sharpest profile across the hull, then the hull's ends and sides.

    Args:
        others: further regions, which the outline must not run into.

    Returns:
        The rectangle around the hull, in pixels of the map.
    """
    points, mass = _sample(found, ship)
    axis = _sharpest_axis(points, mass, ship.axis_deg)
    return _extent(found, ship, others, axis)


def _sample(found: ContrastMap, ship: Candidate) -> tuple[FloatArray, FloatArray]:
    """Places `[N, 2]` from the centre and brightness `[N]` of the region, thinned evenly."""
    step = max(1, ship.rows.size // _FITTED_POINTS)
    rows, columns = ship.rows[::step], ship.columns[::step]
    points = np.stack([rows - ship.centre[0], columns - ship.centre[1]], axis=1)
    return points, found.mass[rows, columns].astype(np.float64)


def _directions(axes_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (row, column) along and across each axis, `[2, A]` each."""
    angle = np.radians(axes_deg)
    return (np.array([-np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), np.cos(angle)]))


def _sharpest_axis(points: FloatArray, mass: FloatArray, start_deg: float) -> float:
    """Axis along which the profile across the hull has the sharpest edges.

    The parallel sides of the hull, and the bright lines along it, decide: their edges stand above
    each other only along the true axis. Side lobes, wake and the layover of the tower, which turn
    a principal axis, have no edges along it. Edges are those of the region itself (each pixel
    counts alike) and of its brightness, as energy of the profile's derivative.
    """
    best, alike = start_deg, np.ones_like(mass)
    for offsets in (np.arange(-24, 25, 3.0), np.arange(-2, 3, 1.0), np.arange(-3, 4) / 4):
        axes = best + offsets
        across = np.ascontiguousarray((points @ _directions(axes)[1]).T)  # [A, N]
        sharpness = np.zeros(len(axes))
        profiles = _profiles(across, (alike, mass))
        for profile, kernel in zip(profiles, (_WIDE_EDGE, _NARROW_EDGE), strict=True):
            edges = ndimage.correlate1d(profile, kernel, axis=1)
            energy = (edges**2).sum(axis=1)
            sharpness += energy / max(float(energy.max()), 1e-12)
        best = float(axes[sharpness.argmax()])
    return best % 180.0


def _profiles(places: FloatArray, weightings: Sequence[FloatArray]) -> list[FloatArray]:
    """Histograms of `places` `[A, N]`, one for each of the weights `[N]`, a row for each A.

    Each place counts in the two nearest bins, by its distance from their middles: pixels lie in
    rows, which along some axes fall into every second bin and would look like edges.
    """
    exact = (places - places.min()) / _BIN_PX
    bins = int(exact.max()) + 2
    axes = len(places)
    below = exact.astype(np.intp)
    share = exact - below
    index = (below + np.arange(axes)[:, None] * bins).ravel()
    profiles = []
    for weights in weightings:
        upper = share * weights
        counts = np.bincount(index, (weights - upper).ravel(), bins * axes)
        counts += np.bincount(index + 1, upper.ravel(), bins * axes)
        profiles.append(np.asarray(counts.reshape(axes, bins), np.float64))
    return profiles


def _extent(
    found: ContrastMap, ship: Candidate, others: Sequence[Candidate], axis: float
) -> Rectangle:
    """Measure where the hull ends along and across `axis`, from profiles of the brightness."""
    along, across = (vector[:, 0] for vector in _directions(np.array([axis])))
    own_u = (ship.rows - ship.centre[0]) * along[0] + (ship.columns - ship.centre[1]) * along[1]
    own_v = (ship.rows - ship.centre[0]) * across[0] + (ship.columns - ship.centre[1]) * across[1]
    own = found.mass[ship.rows, ship.columns]
    v0, v1 = _limits(own_v, own, 0.02)
    u0, u1 = _limits(own_u, own, 0.006)
    clear = _without(found.mass, ship, others, across, v1 - v0)
    rows, columns, mass = _window(clear, ship, (u1 - u0) * 0.75 + 4)
    u = (rows - ship.centre[0]) * along[0] + (columns - ship.centre[1]) * along[1]
    v = (rows - ship.centre[0]) * across[0] + (columns - ship.centre[1]) * across[1]
    slack = 1.0 + 0.1 * (v1 - v0)
    strip = (v > v0 - slack) & (v < v1 + slack)
    end_share, side_share = _shares(found, quantile(own, 0.75))
    u0, u1 = _ends(u[strip], mass[strip], (u0, u1), end_share)
    if found.speckled:
        u0, u1 = _with_faint_ends(found, ship, others, axis, (u0, u1), (v0, v1))
    hull = (u > u0) & (u < u1)
    v0, v1 = _ends(v[hull], mass[hull], (v0, v1), side_share)
    middle = np.array(ship.centre) + along * (u0 + u1) / 2 + across * (v0 + v1) / 2
    return Rectangle(float(middle[0]), float(middle[1]), u1 - u0, v1 - v0, axis)


def _with_faint_ends(
    found: ContrastMap,
    ship: Candidate,
    others: Sequence[Candidate],
    axis: float,
    ends: tuple[float, float],
    sides: tuple[float, float],
) -> tuple[float, float]:
    """Move the ends out over parts of a radar hull that are faint but fill its whole width.

    A foredeck may return a hundredth of what the tower does, which no share of the brightness
    finds; but it stands out from the sea from side to side, as no side lobe does.
    """
    along, across = (vector[:, 0] for vector in _directions(np.array([axis])))
    contrast = _without(found.contrast, ship, others, across, sides[1] - sides[0])
    reach = _FAINT_REACH * (ends[1] - ends[0])
    u = np.arange(ends[0] - reach, ends[1] + reach, 1.0)
    v = np.linspace(*sides, max(int(sides[1] - sides[0]) + 1, 3))
    row = ship.centre[0] + u[:, None] * along[0] + v * across[0]  # [U, V]
    column = ship.centre[1] + u[:, None] * along[1] + v * across[1]
    seen = ndimage.map_coordinates(contrast, (row, column), order=0, mode="constant")
    filled = ndimage.uniform_filter1d((seen > _FAINT_CONTRAST).mean(axis=1), 3) > _FAINT_FILL
    inside = np.flatnonzero((u >= ends[0]) & (u <= ends[1]))
    if inside.size == 0:
        return ends
    beyond = (~filled[: inside[0]][::-1], ~filled[inside[-1] + 1 :])
    # What does not end within reach is land, a wake or another ship.
    low, high = (float(part.argmax()) if part.any() else 0.0 for part in beyond)
    least = _LEAST_FAINT * (ends[1] - ends[0])
    return ends[0] - (low if low > least else 0.0), ends[1] + (high if high > least else 0.0)


def _shares(found: ContrastMap, evenness: float) -> tuple[float, float]:
    """Shares of the hull's level at which its profiles along and across end."""
    if not found.speckled:
        return _OPTICAL_SHARES
    share = float(np.interp(evenness, _EVEN, _SHARE))
    return share, share


def _without(
    mass: NDArray[np.float32],
    ship: Candidate,
    others: Sequence[Candidate],
    across: FloatArray,
    width: float,
) -> NDArray[np.float32]:
    """`mass` with neighbours, quay and land set to 0; fragments in line with the hull stay."""
    clear = mass
    for other in others:
        if other.threshold != ship.threshold or other is ship:
            continue
        away = (other.centre[0] - ship.centre[0], other.centre[1] - ship.centre[1])
        aside = abs(away[0] * across[0] + away[1] * across[1])
        if aside < 0.5 * width and other.mass < 0.5 * ship.mass and other.width < 1.3 * width:
            continue
        if clear is mass:
            clear = mass.copy()
        clear[other.rows, other.columns] = 0.0
    return clear


def _window(
    mass: NDArray[np.float32], ship: Candidate, reach: float
) -> tuple[FloatArray, FloatArray, NDArray[np.float32]]:
    """Rows, columns and mass of the map's pixels within `reach` of the ship's centre."""
    height, width = mass.shape
    r0, r1 = max(int(ship.centre[0] - reach), 0), min(int(ship.centre[0] + reach) + 2, height)
    c0, c1 = max(int(ship.centre[1] - reach), 0), min(int(ship.centre[1] + reach) + 2, width)
    rows, columns = np.mgrid[r0:r1, c0:c1]
    near = mass[r0:r1, c0:c1]
    lit = near > 0.02
    return rows[lit].astype(np.float64), columns[lit].astype(np.float64), near[lit]


def _ends(
    places: FloatArray, mass: NDArray[np.float32], core: tuple[float, float], share: float
) -> tuple[float, float]:
    """Where the profile of `mass` over `places` falls below `share` of its level in the core.

    Gaps of up to a part of the core's length belong to the ship.
    """
    reach = (core[1] - core[0]) * 0.5 + 3.0
    low, high = core[0] - reach, core[1] + reach
    bins = max(int((high - low) / 0.5), 4)
    step = (high - low) / bins
    near = (places >= low) & (places < high)
    index = np.minimum(((places[near] - low) / step).astype(np.intp), bins - 1)
    profile = ndimage.uniform_filter1d(np.bincount(index, mass[near], bins), 4)
    edges = low + step * np.arange(bins + 1)
    middle = edges[:-1] + step / 2
    inside = (middle >= core[0]) & (middle <= core[1])
    # The upper quartile: a faint tail may be longer than the hull, and its level is not the hull's.
    level = quantile(profile[inside], 0.75) if inside.any() else 0.0
    lit = np.flatnonzero(profile > share * level)
    if level <= 0.0 or lit.size == 0:
        return core[0] - 0.5, core[1] + 0.5
    gap = max((core[1] - core[0]) * _GAP, 2.0) / step
    runs = np.split(lit, np.flatnonzero(np.diff(lit) > gap) + 1)
    best = max(runs, key=lambda run: float(profile[run[0] : run[-1] + 1].sum()))
    return float(edges[best[0]]), float(edges[best[-1] + 1])


def _limits(places: FloatArray, weights: NDArray[np.floating], cut: float) -> tuple[float, float]:
    """Quantiles `cut` and `1 - cut` of weighted places."""
    order = np.argsort(places)
    total = np.cumsum(weights[order])
    first, last = np.searchsorted(total, [cut * total[-1], (1 - cut) * total[-1]])
    return float(places[order[first]]), float(places[order[min(last, len(order) - 1)]])
