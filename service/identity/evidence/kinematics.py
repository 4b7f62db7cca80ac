"""Check whether a ship could have sailed from one sighting to the other in time."""

import math

from service.contract.weighing.context import MAX_SPEED_KN
from service.identity.records.base import GeoPoint
from service.identity.records.matches import KinematicsCheck
from service.identity.records.sightings import Fix

EARTH_RADIUS_NM = 3440.065
"""Mean Earth radius of 6371.0 km."""

POSITION_SLACK_NM = 1.0
"""Subtracted from the distance, for the error of both positions."""

DEFAULT_MAX_SPEED_KN = MAX_SPEED_KN


def distance_nm(a: GeoPoint, b: GeoPoint) -> float:
    """Return the great-circle distance in nautical miles (haversine, mean Earth radius)."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians(b.lon - a.lon) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_NM * math.asin(min(1.0, math.sqrt(h)))


def check_kinematics(
    a: Fix, b: Fix, max_speed_kn: float = DEFAULT_MAX_SPEED_KN, usual_kn: float | None = None
) -> KinematicsCheck | None:
    """Return the speed needed between two sightings; None when a place or time is unknown.

    Of times that are known to the day, the ends that leave most time count. The great circle is a
    lower bound of the way by sea. So "infeasible" is certain and "feasible" is not.
    """
    voyage = _distance_and_hours(a, b)
    if voyage is None:
        return None
    distance, hours = voyage
    needed = max(0.0, distance - POSITION_SLACK_NM)
    required = needed / hours if hours else None
    return KinematicsCheck(
        distance_nm=distance,
        hours=hours,
        required_kn=required,
        feasible=needed == 0.0 if required is None else required <= max_speed_kn,
        max_speed_kn=max_speed_kn,
        usual_kn=usual_kn,
        slack_nm=POSITION_SLACK_NM,
    )


def required_speed_kn(a: Fix, b: Fix) -> float | None:
    """Return the speed that `check_kinematics` finds; infinite for two places at one time."""
    voyage = _distance_and_hours(a, b)
    if voyage is None:
        return None
    distance, hours = voyage
    needed = max(0.0, distance - POSITION_SLACK_NM)
    if hours:
        return needed / hours
    return math.inf if needed else 0.0


def _distance_and_hours(a: Fix, b: Fix) -> tuple[float, float] | None:
    """Return the distance in nautical miles and the longest time; None if one is unknown."""
    if a.position is None or b.position is None:
        return None
    if a.first is None or a.last is None or b.first is None or b.last is None:
        return None
    hours = max(0.0, max(b.last - a.first, a.last - b.first).total_seconds() / 3600.0)
    return distance_nm(a.position, b.position), hours
