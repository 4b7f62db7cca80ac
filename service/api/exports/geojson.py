"""GeoJSON (RFC 7946): features, and lines that are cut where they cross the antimeridian."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from service.identity.records.base import GeoPoint

Json = dict[str, Any]
Position = list[float]


def point(position: GeoPoint | None) -> Json | None:
    """Return a point, longitude first; None (an unlocated feature) without a position."""
    if position is None:
        return None
    return {"type": "Point", "coordinates": [position.lon, position.lat]}


def feature(feature_id: str, geometry: Json | None, properties: Mapping[str, object]) -> Json:
    """Return a GeoJSON feature (RFC 7946, section 3.2)."""
    return {
        "type": "Feature",
        "id": feature_id,
        "geometry": geometry,
        "properties": dict(properties),
    }


def line(positions: Sequence[GeoPoint]) -> Json | None:
    """Return the shorter way through all positions, cut at the antimeridian (section 3.1.9).

    Returns:
        A `LineString`, a `MultiLineString` when it was cut, or None for fewer than two positions.
    """
    if len(positions) < 2:
        return None
    parts: list[list[Position]] = [[_coordinates(positions[0])]]
    for before, after in pairwise(positions):
        if abs(after.lon - before.lon) > 180:
            side = 180.0 if before.lon > after.lon else -180.0
            lat = _crossing_lat(before, after)
            parts[-1].append([side, lat])
            parts.append([[-side, lat]])
        parts[-1].append(_coordinates(after))
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}


def _coordinates(position: GeoPoint) -> Position:
    return [position.lon, position.lat]


def _crossing_lat(before: GeoPoint, after: GeoPoint) -> float:
    """Return the latitude at which the straight line on the map crosses the antimeridian."""
    start, end = before.lon % 360, after.lon % 360  # both around 180
    share = 0.5 if start == end else (180.0 - start) / (end - start)
    return before.lat + share * (after.lat - before.lat)
