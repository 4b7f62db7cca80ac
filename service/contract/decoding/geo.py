"""Measure the position of a chip and the size of its pixels on the ground."""

import math
from dataclasses import dataclass, replace

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, RasterioError
from rasterio.session import DummySession
from rasterio.warp import transform as reproject

from service.contract.chip import Position
from service.contract.decoding.raster import Georeference
from service.contract.errors import GeometryError

GSD_RANGE_M = (0.05, 30.0)
NOMINAL_TOLERANCE = 0.01
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
    """

    across_m: float
    down_m: float
    across: tuple[float, float]
    down: tuple[float, float]
    position: Position
    skew_deg: float = 0.0

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


def pixel_ground(georeference: Georeference, width: int, height: int) -> PixelGround | None:
    """Measure the pixel at the chip's centre on the WGS 84 ellipsoid.

    The centre and its neighbours to the right and below are reprojected, and their distances are
    taken in Earth-centred coordinates. This covers degrees, feet, rotation, maps whose scale varies
    (Web Mercator), the antimeridian and the poles. If the result is within 1 % of the projected
    pixel size, the projected size is returned.

    Returns:
        None if the georeference is unusable: singular, not finite, outside its map, or in a
        coordinate system that is no map.
    """
    t, crs = georeference.transform, georeference.crs
    if not all(map(math.isfinite, t[:6])) or t.determinant == 0:
        return None
    if not (crs.is_geographic or crs.is_projected):
        return None
    column, row = width / 2, height / 2
    corners = ((column, row), (column + 1, row), (column, row + 1))
    xs = [t.a * c + t.b * r + t.c for c, r in corners]
    ys = [t.d * c + t.e * r + t.f for c, r in corners]
    try:
        with rasterio.Env(session=DummySession()):
            lons, lats = reproject(crs, "EPSG:4326", xs, ys)
            unit_m = _unit_m(georeference)
            back = reproject("EPSG:4326", crs, lons, lats) if crs.is_projected else (xs, ys)
    except (RasterioError, CPLE_BaseError, CRSError, ValueError):
        return None
    if not all(map(math.isfinite, [*lons, *lats])) or not abs(lats[0]) <= 90:
        return None
    # Coordinates beyond the map yield a place that is another point of it.
    pixel = math.sqrt(abs(t.determinant))
    if not max(abs(a - b) for a, b in zip([*xs, *ys], [*back[0], *back[1]], strict=True)) < pixel:
        return None
    centre, right, below = (_earth_centred_m(*at) for at in zip(lons, lats, strict=True))
    here = float(lons[0]), float(lats[0])
    across, down = math.dist(centre, right), math.dist(centre, below)
    to_right, to_below = _step(here, centre, right), _step(here, centre, below)
    if not (across > 0 and down > 0):
        return None
    skew = _skew_degrees(centre, right, below)
    if unit_m is not None:
        across = _nominal(across, math.hypot(t.a, t.d) * unit_m)
        down = _nominal(down, math.hypot(t.b, t.e) * unit_m)
    position = Position(lat=float(lats[0]), lon=(float(lons[0]) + 180.0) % 360.0 - 180.0)
    return PixelGround(across, down, to_right, to_below, position, skew)


def is_at_origin(georeference: Georeference, width: int, height: int) -> bool:
    """Return whether a corner lies exactly at 0, 0 of a catalogued map, and so at no known place.

    Programs write that where they know the size of a pixel alone. Maps without an EPSG code may
    have been made for the chip, around its corner.
    """
    t, crs = georeference.transform, georeference.crs
    corners = ((0, 0), (width, 0), (0, height), (width, height))
    at_origin = any(t @ corner == (0.0, 0.0) for corner in corners)
    return at_origin and crs.is_projected and crs.to_epsg() is not None


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


def _nominal(measured_m: float, nominal_m: float) -> float:
    close = abs(measured_m - nominal_m) <= NOMINAL_TOLERANCE * nominal_m
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
