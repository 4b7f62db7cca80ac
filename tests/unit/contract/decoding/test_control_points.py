"""Ground control points are fitted around the chip, across the antimeridian, on the pole."""

import math
import time

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from service.contract.decoding.control_points import local_transform
from service.contract.decoding.decode import decode_chip
from service.contract.errors import GeometryError
from tests.support.inputs.chip_files import sar_plane, tiff_bytes

WGS84 = CRS.from_epsg(4326)


def scene(column: float, row: float) -> tuple[float, float]:
    """A curved map of a scene: pixel -> longitude and latitude."""
    lon = 10.0 + column * 1e-4 + row * 2e-5 + column * row * 4e-10
    return lon, 60.0 - row * 9e-5 + column * 1e-5 + column**2 * 1e-10


def grid(offset_column: float, offset_row: float) -> list[GroundControlPoint]:
    """Control points of a whole scene, in the pixels of a chip cut out at an offset."""
    return [
        GroundControlPoint(row - offset_row, column - offset_column, *scene(column, row))
        for row in np.linspace(0, 16000, 10)
        for column in np.linspace(0, 25000, 21)
    ]


@pytest.mark.parametrize("corner", [(0, 0), (12_345, 6_789), (24_800, 15_900), (700, 15_000)])
def test_a_chip_of_a_scene_lies_where_the_scene_puts_it(corner: tuple[int, int]) -> None:
    transform, _, _ = local_transform(grid(*corner), WGS84, 100, 80)
    assert transform is not None
    lon, lat = transform @ (50.0, 40.0)
    true_lon, true_lat = scene(corner[0] + 50, corner[1] + 40)
    pixel = 1e-4
    assert math.hypot(lon - true_lon, lat - true_lat) < 0.5 * pixel


@pytest.mark.parametrize("wrap", [180.0, -180.0])
def test_points_across_the_antimeridian_are_neighbours(wrap: float) -> None:
    points = [
        GroundControlPoint(row, column, (wrap + (column - 10) * 2e-5 + 180) % 360 - 180, 62.45)
        for row in (0, 100, 200)
        for column in (0, 10, 20)
    ]
    points = [GroundControlPoint(p.row, p.col, p.x, p.y - p.row * 9e-6) for p in points]
    transform, _, notes = local_transform(points, WGS84, 20, 200)
    assert transform is not None
    assert notes == []
    lon, lat = transform @ (10.0, 100.0)
    assert abs((lon - 180 + 180) % 360 - 180) < 1e-4
    assert lat == pytest.approx(62.45 - 100 * 9e-6)


def test_points_on_a_line_are_no_georeference() -> None:
    points = [GroundControlPoint(0, column, 10 + column, 60) for column in range(5)]
    transform, _, (note,) = local_transform(points, WGS84, 10, 10)
    assert transform is None
    assert "lie on a line" in note


def test_many_points_on_a_line_cost_little() -> None:
    """A decomposition for each point took seconds of processor time."""
    points = [GroundControlPoint(n, n, 10 + n * 1e-4, 60 - n * 1e-4) for n in range(10_000)]
    began = time.process_time()
    assert local_transform(points, WGS84, 10, 10)[0] is None
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("wrong", [(0.5, 0.0), (math.nan, 0.0), (math.inf, 0.0)])
def test_points_that_contradict_each_other_by_more_than_the_chip_are_ignored(
    wrong: tuple[float, float],
) -> None:
    """Resampling by them, as a warning about skewed pixels advised, would be wrong as well."""
    points = [
        GroundControlPoint(row, column, 10 + column * 1e-4, 60 - row * 1e-4)
        for row in (0, 50, 100)
        for column in (0, 50, 100)
    ]
    points[-1] = GroundControlPoint(100, 100, points[-1].x + wrong[0], points[-1].y + wrong[1])
    transform, _, (note,) = local_transform(points, WGS84, 100, 100)
    assert transform is None
    assert "were ignored; send gsd_m, lat and lon" in note


def test_a_chip_outside_its_points_warns() -> None:
    points = [
        GroundControlPoint(row, column, 10 + column * 1e-4, 60 - row * 1e-4)
        for row in (500, 600)
        for column in (500, 600)
    ]
    transform, _, notes = local_transform(points, WGS84, 100, 100)
    assert transform is not None
    assert any("outside its ground control points" in note for note in notes)


def test_one_wrong_point_warns() -> None:
    points = [
        GroundControlPoint(row, column, 10 + column * 1e-4, 60 - row * 1e-4)
        for row in (0, 50, 100)
        for column in (0, 50, 100)
    ]
    assert local_transform(points, WGS84, 100, 100)[2] == []
    points[4] = GroundControlPoint(50, 50, points[4].x + 0.01, points[4].y)
    (note,) = local_transform(points, WGS84, 100, 100)[2]
    assert "contradict each other" in note


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031"])
@pytest.mark.parametrize("corner", [(-100.0, 300.0), (40_000.0, -20_000.0)])
def test_points_in_degrees_around_a_pole_are_fitted_on_a_polar_map(
    crs: str, corner: tuple[float, float]
) -> None:
    """The chip of the first corner has the pole at its centre."""
    pixels = [(row, column) for row in (0, 20, 40, 60) for column in (0, 10, 20)]
    xs, ys = zip(*((corner[0] + 10 * c, corner[1] - 10 * r) for r, c in pixels), strict=True)
    lons, lats = reproject(crs, "EPSG:4326", xs, ys)
    points = [
        GroundControlPoint(*pixel, x, y) for pixel, x, y in zip(pixels, lons, lats, strict=True)
    ]
    by_points = decode_chip(tiff_bytes(sar_plane(), gcps=points, crs="EPSG:4326"))
    transform = Affine(10.0, 0, corner[0], 0, -10.0, corner[1])
    by_transform = decode_chip(tiff_bytes(sar_plane(), crs=crs, transform=transform))
    assert by_points.pixels.shape == (60, 20)
    assert by_points.gsd_m == pytest.approx(by_transform.gsd_m, rel=0.03)
    assert by_points.position is not None
    assert by_transform.position is not None
    assert by_points.position.lat == pytest.approx(by_transform.position.lat, abs=1e-5)


def test_a_chip_on_the_pole_keeps_its_pixel_size() -> None:
    """The centre of this polar stereographic chip is the pole, where longitude has no meaning."""
    transform = Affine(10.0, 0, -100.0, 0, -10.0, 300.0)
    chip = decode_chip(tiff_bytes(sar_plane(), crs="EPSG:3413", transform=transform))
    assert chip.gsd_m == pytest.approx(10.0, rel=0.04)
    assert chip.position is not None
    assert chip.position.lat == pytest.approx(90.0, abs=1e-3)


def test_the_gsd_of_the_longer_side_of_a_pixel_is_rejected() -> None:
    data = tiff_bytes(
        sar_plane(), crs="EPSG:32631", transform=Affine(0.5, 0, 500_000, 0, -1.0, 5_000_000)
    )
    squares = decode_chip(data, gsd_m=0.5)
    assert squares.pixels.shape == (120, 20)
    with pytest.raises(GeometryError, match="one side of pixels"):
        decode_chip(data, gsd_m=1.0)
    other = decode_chip(data, gsd_m=3.0)
    assert other.pixels.shape == (60, 20)
    assert other.warnings == ("gsd_m 3 was used although the GeoTIFF says 0.5 m x 1 m",)


def test_skewed_pixels_are_rejected_unless_gsd_m_is_sent() -> None:
    transform = Affine(1.0, 1.0, 500_000, 0, -1.0, 5_000_000)
    data = tiff_bytes(sar_plane(), crs="EPSG:32631", transform=transform)
    with pytest.raises(GeometryError, match="right angle by 45 degrees"):
        decode_chip(data)
    assert decode_chip(data, gsd_m=3.0).gsd_m == 3.0
