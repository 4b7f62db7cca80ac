from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from service.api.exports.geojson import line, point
from service.identity.records.base import GeoPoint


def at(lat: float, lon: float) -> GeoPoint:
    return GeoPoint(lat=lat, lon=lon)


LONGITUDES = st.floats(-180, 180, width=32) | st.sampled_from([-180.0, 180.0])
POSITIONS = st.lists(st.builds(at, st.floats(-90, 90, width=32), LONGITUDES), min_size=2)


def test_longitude_comes_first() -> None:
    assert point(at(1.5, 103.9)) == {"type": "Point", "coordinates": [103.9, 1.5]}
    assert point(None) is None


def test_one_position_is_no_line() -> None:
    assert line([]) is None
    assert line([at(0, 0)]) is None


def test_a_line_stays_whole_away_from_the_antimeridian() -> None:
    assert line([at(1, 10), at(2, -20)]) == {
        "type": "LineString",
        "coordinates": [[10, 1], [-20, 2]],
    }


@pytest.mark.parametrize("side", [1, -1])
def test_a_line_is_cut_at_the_antimeridian(side: int) -> None:
    way = line([at(0, side * 170), at(3, side * -160), at(4, side * -150)])
    assert way is not None
    assert way["type"] == "MultiLineString"
    [before, after] = way["coordinates"]
    assert before == [[side * 170, 0], [side * 180, pytest.approx(1)]]
    assert after == [[side * -180, pytest.approx(1)], [side * -160, 3], [side * -150, 4]]


@pytest.mark.parametrize(
    ("longitudes", "parts"),
    [
        ([170, 180, 175], [[170, 180, 175]]),
        ([170, -180, 175], [[170, 180, 175]]),
        ([170, -180, -175], [[170, 180], [-180, -175]]),
        ([170, 180, -175], [[170, 180], [-180, -175]]),
        ([-170, 180, 175], [[-170, -180], [180, 175]]),
        ([180, -175], [[-180, -175]]),
        ([-180, 175], [[180, 175]]),
        ([180, -180], [[180, 180]]),
        ([180, -180, -170], [[180, 180], [-180, -170]]),
        ([170, -180, 180, -170, 170], [[170, 180, 180], [-180, -170, -180], [180, 170]]),
    ],
)
def test_positions_on_the_antimeridian_lie_on_the_side_of_their_part(
    longitudes: list[float], parts: list[list[float]]
) -> None:
    way = line([at(lat, lon) for lat, lon in enumerate(longitudes)])
    assert way is not None
    drawn = way["coordinates"] if len(parts) > 1 else [way["coordinates"]]
    assert [[lon for lon, _ in part] for part in drawn] == parts
    assert all(one != other for part in drawn for one, other in pairwise(part))


@given(POSITIONS)
def test_no_part_spans_more_than_half_the_globe(positions: list[GeoPoint]) -> None:
    way = line(positions)
    assert way is not None
    parts: list[Any] = way["coordinates"]
    if way["type"] == "LineString":
        parts = [parts]
    for part in parts:
        assert len(part) >= 2
        for (lon, lat), (next_lon, _) in pairwise(part):
            assert abs(next_lon - lon) <= 180.001
            assert -180 <= lon <= 180
            assert -90 <= lat <= 90
