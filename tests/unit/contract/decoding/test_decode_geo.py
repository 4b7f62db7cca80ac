"""Ground sampling distance by parameter, GeoTIFF or default, in this order; and position."""

import math
import re

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.io import DatasetWriter
from rasterio.rpc import RPC

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from tests.support.inputs.chip_files import rgb_planes, sar_plane, tiff_bytes

MARS = "+proj=longlat +a=3396190 +b=3376200"
EQUATOR_DEGREE_M = math.pi * 6_378_137.0 / 180.0


def georeferenced_chip(crs: str, transform: Affine, gsd_m: float | None = None) -> Chip:
    return decode_chip(tiff_bytes(sar_plane(), crs=crs, transform=transform), gsd_m=gsd_m)


def test_utm_metres_and_centre() -> None:
    # 60 rows and 20 columns of 0.5 m around the point where UTM zone 31 has its origin.
    chip = georeferenced_chip("EPSG:32631", Affine(0.5, 0, 500_000 - 5, 0, -0.5, 15))
    assert (chip.gsd_m, chip.gsd_source, chip.warnings) == (0.5, "geotiff", ())
    assert chip.position is not None
    assert chip.position.lat == pytest.approx(0, abs=1e-9)
    assert chip.position.lon == pytest.approx(3, abs=1e-9)
    assert (chip.length_m, chip.width_m) == (30.0, 10.0)


def test_rational_polynomials_are_not_read() -> None:
    """The position and the pixel size of a chip with nothing else must be sent."""
    terms = [0.0] * 20
    camera = RPC(
        height_off=0.0,
        height_scale=500.0,
        lat_off=1.2,
        lat_scale=0.1,
        line_den_coeff=[1.0, *terms[1:]],
        line_num_coeff=[0.0, 0.0, -1.0, *terms[3:]],
        line_off=30.0,
        line_scale=30.0,
        long_off=103.9,
        long_scale=0.1,
        samp_den_coeff=[1.0, *terms[1:]],
        samp_num_coeff=[0.0, 1.0, *terms[2:]],
        samp_off=10.0,
        samp_scale=10.0,
    )

    def add(file: DatasetWriter) -> None:
        file.rpcs = camera

    chip = decode_chip(tiff_bytes(sar_plane(), add))
    assert chip.position is None
    assert chip.gsd_source == "default"
    assert any("(RPC); send gsd_m, lat and lon" in warning for warning in chip.warnings)


@pytest.mark.parametrize(
    "transform", [Affine(2, 0, 5e5, 0, 2, 5e6), Affine(-2, 0, 5e5, 0, -2, 5e6)]
)
def test_a_mirrored_picture_is_shown_as_from_above(transform: Affine) -> None:
    """A mirrored ship is another ship: its superstructure changes sides."""
    chip = georeferenced_chip("EPSG:32631", transform)
    np.testing.assert_array_equal(chip.pixels, sar_plane()[::-1])
    assert any("mirrored" in warning for warning in chip.warnings)
    assert chip.ground is not None
    # A step to the right and a step down are those of a picture that is seen from above.
    (east, north), (to_east, to_north) = chip.ground.column_step, chip.ground.row_step
    assert east * to_north - north * to_east == pytest.approx(-4, rel=1e-3)
    stored = Affine.translation(0, 60) @ Affine.scale(1, -1)
    same = georeferenced_chip("EPSG:32631", transform @ stored)
    assert chip.position == same.position


def test_a_coordinate_system_that_is_no_map_is_ignored_with_a_warning() -> None:
    chip = georeferenced_chip("EPSG:4978", Affine(1, 0, 4e6, 0, -1, 3e6))
    assert chip.position is None
    assert any("unusable" in warning for warning in chip.warnings)


def test_too_few_control_points_are_named() -> None:
    points = [GroundControlPoint(0, 0, 10.0, 60.0), GroundControlPoint(60, 20, 10.1, 59.9)]
    chip = decode_chip(tiff_bytes(sar_plane(), gcps=points, crs="EPSG:4326"), gsd_m=1.0)
    assert chip.position is None
    (warning,) = chip.warnings
    assert "2 ground control point(s), of which three" in warning


def test_us_survey_feet() -> None:
    chip = georeferenced_chip("EPSG:2263", Affine(2, 0, 980_000, 0, -2, 200_000))
    assert chip.gsd_m == pytest.approx(2 * 1200 / 3937, rel=1e-9)
    assert chip.position is not None
    assert chip.position.lat == pytest.approx(40.7, abs=0.1)
    assert chip.position.lon == pytest.approx(-74.0, abs=0.2)


def test_degrees_at_the_equator() -> None:
    step = 1.0 / EQUATOR_DEGREE_M
    chip = georeferenced_chip("EPSG:4326", Affine(step, 0, 100 - 10 * step, 0, -step, 30 * step))
    # There a degree of latitude is 0.67 % shorter than one of longitude: within the tolerance.
    assert chip.gsd_m == pytest.approx(110_574.3 / EQUATOR_DEGREE_M, rel=1e-4)
    assert chip.pixels.shape == (60, 20)
    assert chip.position is not None
    assert chip.position.lon == pytest.approx(100, abs=1e-9)


def test_degrees_at_60_north_are_resampled_to_squares() -> None:
    step = 1.0 / 111_412.24  # one metre of latitude at 60 degrees
    transform = Affine(step, 0, 10, 0, -step, 60 + 30 * step)
    chip = georeferenced_chip("EPSG:4326", transform)
    metres_per_column = 55_800.0 / 111_412.24
    assert chip.gsd_m == pytest.approx(metres_per_column, rel=1e-3)
    assert chip.length_m == pytest.approx(60.0, rel=0.01)
    assert chip.width_m == pytest.approx(20 * metres_per_column, rel=0.01)
    assert "resampled to squares" in chip.warnings[0]


def test_scale_of_web_mercator_is_corrected() -> None:
    # At 60 degrees north a metre of Web Mercator is half a metre on the ground.
    y = 6_378_137.0 * math.log(math.tan(math.pi / 4 + math.radians(60) / 2))
    chip = georeferenced_chip("EPSG:3857", Affine(1, 0, 0, 0, -1, y))
    assert chip.gsd_m == pytest.approx(0.5, rel=0.01)


def test_rotation_does_not_change_the_pixel_size() -> None:
    transform = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(2, -2)
    chip = georeferenced_chip("EPSG:32631", transform)
    assert chip.gsd_m == pytest.approx(2.0, rel=1e-9)
    assert chip.pixels.shape == (60, 20)


def test_pixels_that_are_not_square_are_resampled_to_the_shorter_side() -> None:
    chip = georeferenced_chip("EPSG:32631", Affine(3, 0, 500_000, 0, -1.5, 5_000_000))
    assert chip.gsd_m == 1.5
    assert chip.pixels.shape == (60, 40)
    assert chip.pixels.dtype == np.float32
    assert (chip.length_m, chip.width_m) == (90.0, 60.0)


def test_an_optical_chip_is_resampled_as_well() -> None:
    data = tiff_bytes(
        rgb_planes(), crs="EPSG:32631", transform=Affine(0.5, 0, 500_000, 0, -1, 5_000_000)
    )
    chip = decode_chip(data)
    assert chip.pixels.shape == (120, 20, 3)
    assert chip.pixels.dtype == np.uint8


def test_parameter_overrides_the_geotiff_with_a_warning() -> None:
    chip = georeferenced_chip("EPSG:32631", Affine(1, 0, 500_000, 0, -1, 5_000_000), gsd_m=2.0)
    assert (chip.gsd_m, chip.gsd_source) == (2.0, "parameter")
    assert chip.warnings == ("gsd_m 2 was used although the GeoTIFF says 1 m",)
    assert chip.position is not None


def test_parameter_that_agrees_with_the_geotiff_gives_no_warning() -> None:
    chip = georeferenced_chip("EPSG:32631", Affine(1, 0, 500_000, 0, -1, 5_000_000), gsd_m=1.02)
    assert (chip.gsd_m, chip.warnings) == (1.02, ())


def test_parameter_overrides_a_pixel_size_out_of_range() -> None:
    chip = georeferenced_chip(
        "EPSG:32631", Affine(1000, 0, 500_000, 0, -1000, 5_000_000), gsd_m=1.0
    )
    assert chip.gsd_m == 1.0


def test_ground_control_points() -> None:
    points = [
        GroundControlPoint(row=row, col=col, x=500_000 + 2 * col, y=5_000_000 - 2 * row)
        for row, col in ((0, 0), (0, 20), (60, 0), (60, 20))
    ]
    chip = decode_chip(tiff_bytes(sar_plane(), gcps=points, crs="EPSG:32631"))
    assert chip.gsd_m == pytest.approx(2.0, rel=1e-6)
    assert chip.gsd_source == "geotiff"


@pytest.mark.parametrize(
    ("crs", "transform", "reason"),
    [
        ("EPSG:32631", Affine(1, 0, 1e30, 0, -1, 1e30), "no place on Earth"),
        # 2.5 times around the Earth
        ("EPSG:32631", Affine(1, 0, 500_000, 0, -1, 1e8), "outside its map"),
        ("EPSG:4326", Affine(1e-5, 0, 50, 0, -1e-5, 120), "latitude of 120 .* may be exchanged"),
        ("EPSG:32631", Affine(1, 1, 500_000, 1, 1, 5_000_000), "its transform"),
        (
            "+proj=longlat +a=3396190 +b=3376200",
            Affine(1e-5, 0, 10, 0, -1e-5, 50),
            "no place on Earth",
        ),
    ],
)
def test_an_unusable_georeference_is_ignored_with_its_reason(
    crs: str, transform: Affine, reason: str
) -> None:
    chip = georeferenced_chip(crs, transform)
    assert (chip.gsd_m, chip.gsd_source, chip.position) == (1.0, "default", None)
    assert any(re.search(f"unusable.*{reason}", warning) for warning in chip.warnings)


@pytest.mark.parametrize(
    ("crs", "west", "north", "distance"),
    [
        ("EPSG:32631", 3_500_000, 5_500_000, r"3,000 km .* \(WGS 84 / UTM zone 31N\)"),
        ("EPSG:32731", -250_000, 5_500_000, r"750 km .* \(WGS 84 / UTM zone 31S\)"),
        ("EPSG:32631", 5_700_000, 500_000, "5,200 km"),  # northing and easting exchanged
        ("+proj=tmerc +lon_0=10 +units=us-ft", 3_000_000, 15_000_000, "914 km .* its map:"),
    ],
)
def test_a_position_far_outside_its_zone_is_ignored(
    crs: str, west: float, north: float, distance: str
) -> None:
    """Its pixel size, which would be measured at the wrong place, is that of the map."""
    chip = georeferenced_chip(crs, Affine(2, 0, west, 0, -2, north))
    feet = 0.3048006096 if "us-ft" in crs else 1.0
    assert (chip.position, chip.ground, chip.gsd_source) == (None, None, "geotiff")
    assert chip.gsd_m == pytest.approx(2 * feet)
    assert any(
        re.search(f"lies {distance}.* its position was ignored", warning)
        for warning in chip.warnings
    )


@pytest.mark.parametrize("west", [1_090_000, -140_000])
def test_a_position_in_the_next_zone_is_used(west: float) -> None:
    """Norway lies in one zone on its maps, up to 600 km from the central meridian."""
    assert georeferenced_chip("EPSG:32633", Affine(2, 0, west, 0, -2, 7.8e6)).position is not None


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(1, 0, 10, 0, -1, 50)),  # pixels counted in degrees
        ("EPSG:32631", Affine(1e-3, 0, 500, 0, -1e-3, 6000)),  # kilometres for metres
    ],
)
def test_a_position_on_pixels_of_an_impossible_size_is_ignored(crs: str, transform: Affine) -> None:
    chip = georeferenced_chip(crs, transform, gsd_m=1.0)
    assert chip.position is None
    assert any("lies on pixels of" in warning for warning in chip.warnings)


def test_degrees_in_a_map_in_metres_are_no_position() -> None:
    chip = georeferenced_chip("EPSG:32631", Affine(2, 0, 12.5, 0, -2, 55.25))
    assert (chip.position, chip.gsd_m) == (None, 2.0)
    assert any("x 12.5, y 55.25 of a map" in warning for warning in chip.warnings)
    local = georeferenced_chip("+proj=aeqd +lat_0=1.2 +lon_0=103.9", Affine(2, 0, 12, 0, -2, 55))
    assert local.position is not None


def test_a_pixel_size_without_a_map_system_is_ignored() -> None:
    chip = decode_chip(tiff_bytes(sar_plane(), transform=Affine(7, 0, 0, 0, -7, 0)))
    assert (chip.gsd_m, chip.gsd_source) == (1.0, "default")
    assert any("a transform without a map system" in warning for warning in chip.warnings)


@pytest.mark.parametrize(("modality", "default"), [(Modality.SAR, 1.0), (Modality.OPTICAL, 0.75)])
def test_the_default_depends_on_the_modality(modality: Modality, default: float) -> None:
    samples = sar_plane() if modality is Modality.SAR else rgb_planes()
    chip = decode_chip(tiff_bytes(samples))
    assert (chip.gsd_m, chip.gsd_source) == (default, "default")
    assert f"{default:g} m per pixel was assumed" in chip.warnings[0]


@pytest.mark.parametrize("gsd", [0.05, 30.0])
def test_range_includes_its_limits(gsd: float) -> None:
    assert decode_chip(tiff_bytes(sar_plane()), gsd_m=gsd).gsd_m == gsd


def test_longitude_across_the_date_line_is_within_180() -> None:
    chip = georeferenced_chip("EPSG:32660", Affine(1, 0, 833_000, 0, -1, 30))
    assert chip.position is not None
    assert -180 <= chip.position.lon <= 180
    assert abs(chip.position.lon) > 179.9


@pytest.mark.parametrize(("west", "north"), [(0.0, 0.0), (-1e-4, 3e-4), (-2e-4, 0.0)])
def test_a_position_that_programs_write_for_an_unknown_one_is_ignored(
    west: float, north: float
) -> None:
    chip = georeferenced_chip("EPSG:4326", Affine(1e-5, 0, west, 0, -1e-5, north))
    assert (chip.position, chip.ground) == (None, None)
    assert (chip.gsd_source, round(chip.gsd_m, 2)) == ("geotiff", 1.11)
    assert any("lies at latitude 0, longitude 0" in warning for warning in chip.warnings)


@pytest.mark.parametrize("transform", [Affine(2, 0, 0, 0, -2, 0), Affine(2, 0, -40, 0, -2, 120)])
def test_a_corner_at_the_origin_of_a_map_is_no_position(transform: Affine) -> None:
    """The origin of a UTM zone lies at sea, 4 degrees outside of it."""
    chip = georeferenced_chip("EPSG:32631", transform)
    assert (chip.position, chip.gsd_m, chip.gsd_source) == (None, 2.0, "geotiff")
    assert any("lies at x 0, y 0 of its map" in warning for warning in chip.warnings)
    local = georeferenced_chip("+proj=aeqd +lat_0=1.2 +lon_0=103.9", transform)
    assert local.position is not None
    assert local.position.lat == pytest.approx(1.2, abs=0.01)


def test_a_position_on_the_equator_or_the_first_meridian_is_used() -> None:
    for west, north in ((9.0, 0.0), (0.0, 50.0)):
        chip = georeferenced_chip("EPSG:4326", Affine(1e-5, 0, west, 0, -1e-5, north))
        assert chip.position is not None
