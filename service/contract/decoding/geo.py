"""Measure the position of a chip and the size of its pixels on the ground."""

import math
import re
from dataclasses import dataclass, replace

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.session import DummySession
from rasterio.warp import transform as reproject

from service.contract.chip import Position
from service.contract.decoding.raster import Georeference
from service.contract.errors import GeometryError

GSD_RANGE_M = (0.05, 30.0)
NOMINAL_TOLERANCE = 0.01
NOWHERE_DEG = 0.01
"""Chips of one kilometre that begin, end or have their centre at latitude 0, longitude 0."""
MAX_MERIDIAN_KM = 700.0
"""Twice the half width of a UTM zone at the equator; Norway's use of one zone reaches 600 km."""
_MERIDIAN_MAP = re.compile(
    r'^PROJCS\["([^"]*)".*PROJECTION\["Transverse_Mercator".*PARAMETER\["false_easting",([-+.\de]+)',
    re.DOTALL,
)
_WGS84_A_M, _WGS84_E2 = 6_378_137.0, 0.00669437999014
_Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PixelGround:
    """The size of a chip's pixels on the ground, and the chip's position.

    Attributes:
        across_m: distance from one column to the next, in metres.
        down_m: distance from one row to the next, in metres.
        across: the same step as metres east and north.
        down: the step to the next row as metres east and north.
        skew_deg: by how much rows and columns differ from a right angle.
        misplaced: where it lies that cannot be the place of the chip; empty for other places.
    """

    across_m: float
    down_m: float
    across: tuple[float, float]
    down: tuple[float, float]
    position: Position
    skew_deg: float = 0.0
    misplaced: str = ""

    @property
    def is_mirrored(self) -> bool:
        """Whether the picture shows the ground from below, as where rows run to the north."""
        return self.across[0] * self.down[1] - self.across[1] * self.down[0] > 0.0

    def upside_down(self) -> "PixelGround":
        """Return the ground of the picture with its rows in reverse order."""
        return replace(self, down=(-self.down[0], -self.down[1]))


def check_gsd(gsd_m: float, source: str) -> float:
    """Return a ground sampling distance that lies within `GSD_RANGE_M`.

    Raises:
        GeometryError: the distance is NaN, infinite, not positive or out of range.
    """
    low, high = GSD_RANGE_M
    if not (math.isfinite(gsd_m) and low <= gsd_m <= high):
        raise GeometryError(
            f"the ground sampling distance of {gsd_m:g} m per pixel {source} is out of range; "
            f"expected gsd_m from {low:g} to {high:g}"
        )
    return gsd_m


class GeoreferenceError(ValueError):
    """A georeference says neither where the pixels lie nor how large they are; says why."""


def pixel_ground(georeference: Georeference, width: int, height: int) -> PixelGround:
    """Measure the pixel at the chip's centre on the WGS 84 ellipsoid.

    The centre and its neighbours to the right and below are reprojected, and their distances are
    taken in Earth-centred coordinates. This covers degrees, feet, rotation, maps whose scale varies
    (Web Mercator), the antimeridian and the poles. If the result is within 1 % of the projected
    pixel size, or the place is wrong, the projected size is returned.

    Raises:
        GeoreferenceError: singular, not finite, outside its map, or in a coordinate system that
            is no map of the Earth.
    """
    t, crs = georeference.transform, georeference.crs
    if not all(map(math.isfinite, t[:6])) or t.determinant == 0:
        raise GeoreferenceError("its transform gives no place to each pixel")
    if not (crs.is_geographic or crs.is_projected):
        raise GeoreferenceError("its coordinate system is no map")
    column, row = width / 2, height / 2
    corners = ((column, row), (column + 1, row), (column, row + 1))
    xs = [t.a * c + t.b * r + t.c for c, r in corners]
    ys = [t.d * c + t.e * r + t.f for c, r in corners]
    lons, lats = _degrees(georeference, xs, ys)
    unit_m, (low, high) = _unit_m(georeference), GSD_RANGE_M
    centre, right, below = (_earth_centred_m(*at) for at in zip(lons, lats, strict=True))
    here = float(lons[0]), float(lats[0])
    across, down = math.dist(centre, right), math.dist(centre, below)
    to_right, to_below = _step(here, centre, right), _step(here, centre, below)
    if not (across > 0 and down > 0):
        raise GeoreferenceError("its pixels have no size")
    position = Position(lat=float(lats[0]), lon=(float(lons[0]) + 180.0) % 360.0 - 180.0)
    misplaced = _misplaced(georeference, position, xs[0], width, height)
    if unit_m is not None:
        tolerance = math.inf if misplaced else NOMINAL_TOLERANCE
        across = _nominal(across, math.hypot(t.a, t.d) * unit_m, tolerance)
        down = _nominal(down, math.hypot(t.b, t.e) * unit_m, tolerance)
    if not (misplaced or all(low <= side <= high for side in (across, down))):
        misplaced = f"on pixels of {across:.3g} m x {down:.3g} m, too far from those of a chip"
    skew = _skew_degrees(centre, right, below)
    return PixelGround(across, down, to_right, to_below, position, skew, misplaced)


def _degrees(
    georeference: Georeference, xs: list[float], ys: list[float]
) -> tuple[list[float], list[float]]:
    """Return longitudes and latitudes of map coordinates.

    Raises:
        GeoreferenceError: they lie outside the map, or it is none of the Earth.
    """
    crs, t = georeference.crs, georeference.transform
    if crs.is_geographic and not all(abs(y) * _degree(crs) <= 90 for y in ys):
        raise GeoreferenceError(
            f"its latitude of {ys[0]:g} is none; latitude and longitude may be exchanged"
        )
    try:
        with rasterio.Env(session=DummySession()):
            lons, lats = reproject(crs, "EPSG:4326", xs, ys)
            back = reproject("EPSG:4326", crs, lons, lats) if crs.is_projected else (xs, ys)
    except (RasterioError, CPLE_BaseError, CRSError, ValueError) as error:
        raise GeoreferenceError("its coordinates are no place on Earth") from error
    # Coordinates beyond the map yield a place that is another point of it.
    pixel = math.sqrt(abs(t.determinant))
    found = [*lons, *lats, *back[0], *back[1]]
    missed = max(abs(a - b) for a, b in zip([*xs, *ys], [*back[0], *back[1]], strict=True))
    if not (all(map(math.isfinite, found)) and abs(lats[0]) <= 90 and missed < pixel):
        raise GeoreferenceError(f"x {xs[0]:g}, y {ys[0]:g} lie outside its map")
    return lons, lats


def _degree(crs: CRS) -> float:
    """Return degrees per unit of a coordinate system in angles."""
    return float(crs.units_factor[1]) * 180.0 / math.pi


def _misplaced(
    georeference: Georeference, position: Position, x: float, width: int, height: int
) -> str:
    """Return the place in words if it means an unknown or a wrong one; empty for others.

    Programs write the origin of a catalogued map, or degrees into a map in metres, where they know
    the size of a pixel alone. Maps without an EPSG code may have been made for the chip, around its
    corner.
    """
    t, crs = georeference.transform, georeference.crs
    unknown = "which programs write where the position is unknown"
    if max(abs(position.lat), abs(position.lon)) <= NOWHERE_DEG:
        return f"at latitude 0, longitude 0, {unknown}"
    corners = ((0, 0), (width, 0), (0, height), (width, height))
    if not crs.is_projected:
        return ""
    if any(t @ corner == (0.0, 0.0) for corner in corners) and crs.to_epsg() is not None:
        return f"at x 0, y 0 of its map, {unknown}"
    if abs(t.c) <= 180 and abs(t.f) <= 90 and crs.to_epsg() is not None:
        return f"at x {t.c:g}, y {t.f:g} of a map that is not in degrees, as if it were"
    if found := _MERIDIAN_MAP.search(crs.to_wkt()):
        distance_km = abs(x - float(found[2])) * float(crs.linear_units_factor[1]) / 1000
        if distance_km > MAX_MERIDIAN_KM:
            name = "" if found[1] in ("", "unknown", "unnamed") else f" ({found[1]})"
            return f"{distance_km:,.0f} km from the central meridian of its map{name}"
    return ""


def _skew_degrees(centre: _Point, right: _Point, below: _Point) -> float:
    """Return the angle at the centre less a right angle, without its sign."""
    across = [r - c for r, c in zip(right, centre, strict=True)]
    down = [b - c for b, c in zip(below, centre, strict=True)]
    cosine = sum(a * d for a, d in zip(across, down, strict=True)) / (
        math.hypot(*across) * math.hypot(*down)
    )
    return abs(math.degrees(math.asin(max(-1.0, min(1.0, cosine)))))


def _unit_m(georeference: Georeference) -> float | None:
    """Return metres per map unit; None for a map in degrees."""
    if not georeference.crs.is_projected:
        return None
    return float(georeference.crs.linear_units_factor[1])


def _nominal(measured_m: float, nominal_m: float, tolerance: float) -> float:
    close = abs(measured_m - nominal_m) <= tolerance * nominal_m
    return nominal_m if close else measured_m


def _step(here: tuple[float, float], start: _Point, end: _Point) -> tuple[float, float]:
    """Return a short way as metres east and north.

    Args:
        here: longitude and latitude of the start, degrees.
        start: Earth-centred coordinates, metres.
        end: likewise.
    """
    lam, phi = math.radians(here[0]), math.radians(here[1])
    x, y, z = (b - a for a, b in zip(start, end, strict=True))
    outward = x * math.cos(lam) + y * math.sin(lam)
    east = y * math.cos(lam) - x * math.sin(lam)
    return east, z * math.cos(phi) - outward * math.sin(phi)


def _earth_centred_m(lon: float, lat: float) -> _Point:
    """Convert WGS 84 degrees into Earth-centred coordinates, which know no pole or antimeridian."""
    phi, lam = math.radians(lat), math.radians(lon)
    prime_vertical = _WGS84_A_M / math.sqrt(1.0 - _WGS84_E2 * math.sin(phi) ** 2)
    return (
        prime_vertical * math.cos(phi) * math.cos(lam),
        prime_vertical * math.cos(phi) * math.sin(lam),
        prime_vertical * (1.0 - _WGS84_E2) * math.sin(phi),
    )
