from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.identity.evidence.kinematics import check_kinematics, distance_nm, required_speed_kn
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import Fix

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SINGAPORE, HONG_KONG = GeoPoint(lat=1.2644, lon=103.8222), GeoPoint(lat=22.3193, lon=114.1694)
points = st.builds(GeoPoint, lat=st.floats(-90, 90), lon=st.floats(-180, 180))


def angle_between(a: GeoPoint, b: GeoPoint) -> float:
    """Return the angle of two unit vectors, radians."""
    ends = []
    for point in (a, b):
        lat, lon = np.radians(point.lat), np.radians(point.lon)
        ends.append(np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]))
    return float(np.arccos(ends[0] @ ends[1]))


def test_a_degree_of_latitude_is_sixty_miles() -> None:
    found = distance_nm(GeoPoint(lat=10, lon=20), GeoPoint(lat=11, lon=20))
    assert found == pytest.approx(60.04, abs=0.01)


def test_distance_across_the_date_line_is_short() -> None:
    found = distance_nm(GeoPoint(lat=0, lon=179.5), GeoPoint(lat=0, lon=-179.5))
    assert found == pytest.approx(60.04, abs=0.01)


@given(points, points)
def test_distance_is_symmetric_and_at_most_half_the_globe(a: GeoPoint, b: GeoPoint) -> None:
    assert distance_nm(a, b) == pytest.approx(distance_nm(b, a))
    assert 0 <= distance_nm(a, b) <= 10_808


def at(place: GeoPoint | None, time: datetime | None, known_to: timedelta = timedelta(0)) -> Fix:
    return Fix(place, time, None if time is None else time + known_to)


def test_a_slow_passage_is_feasible() -> None:
    found = check_kinematics(at(SINGAPORE, NOON), at(HONG_KONG, NOON + timedelta(hours=96)))
    assert found is not None
    assert found.distance_nm == pytest.approx(angle_between(SINGAPORE, HONG_KONG) * 3440.065)
    assert found.required_kn == pytest.approx((found.distance_nm - 1) / 96)
    assert found.feasible


def test_a_passage_faster_than_a_ship_is_infeasible() -> None:
    found = check_kinematics(at(SINGAPORE, NOON), at(HONG_KONG, NOON - timedelta(hours=19)))
    assert found is not None
    assert found.required_kn == pytest.approx(73.4, abs=0.5)
    assert not found.feasible


@pytest.mark.parametrize("hours", [-60, -19, 0, 19, 60])
def test_of_a_day_the_end_that_leaves_most_time_counts(hours: int) -> None:
    other = at(HONG_KONG, NOON + timedelta(hours=hours))
    day = at(SINGAPORE, NOON, timedelta(hours=24))
    most = max(abs(hours), abs(24 - hours))
    for found in (check_kinematics(day, other), check_kinematics(other, day)):
        assert found is not None
        assert found.hours == most
        assert found.required_kn == pytest.approx((found.distance_nm - 1) / most)


def test_a_ship_cannot_be_at_two_places_at_the_same_time() -> None:
    here = check_kinematics(at(SINGAPORE, NOON), at(SINGAPORE, NOON))
    there = check_kinematics(at(SINGAPORE, NOON), at(HONG_KONG, NOON))
    assert here is not None
    assert there is not None
    assert here.feasible
    assert not there.feasible
    assert there.required_kn is None


@given(points, points, st.integers(-1000, 1000))
def test_the_required_speed_is_that_of_the_check(a: GeoPoint, b: GeoPoint, hours: int) -> None:
    ends = at(a, NOON), at(b, NOON + timedelta(hours=hours))
    found = check_kinematics(*ends)
    assert found is not None
    at_once = 0.0 if found.feasible else np.inf
    assert required_speed_kn(*ends) == (at_once if hours == 0 else found.required_kn)


@pytest.mark.parametrize("unknown", [(None, NOON), (HONG_KONG, None), (None, None)])
def test_an_unknown_place_or_time_is_not_checked(
    unknown: tuple[GeoPoint | None, datetime | None],
) -> None:
    assert check_kinematics(at(SINGAPORE, NOON), at(*unknown)) is None
    assert required_speed_kn(at(SINGAPORE, NOON), at(*unknown)) is None
