"""GeoJSON (RFC 7946): features, and lines that are cut where they cross the antimeridian."""

import math
from collections.abc import Mapping, Sequence
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
    first, *others = positions
    parts: list[list[Position]] = [[[first.lon, first.lat]]]
    for after in others:
        lon, lat = parts[-1][-1]
        side = math.copysign(180.0, lon)
        to = side if abs(after.lon) == 180.0 else after.lon  # -180 and 180 are one meridian
        if abs(to - lon) > 180.0:
            if lon != side:
                lat = _crossing_lat(parts[-1][-1], [to, after.lat])
                parts[-1].append([side, lat])
            if len(parts[-1]) == 1:
                parts.pop()  # the line begins on the antimeridian, and goes to the other side
            parts.append([[-side, lat]])
        parts[-1].append([to, after.lat])
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}


def _crossing_lat(before: Position, after: Position) -> float:
    """Return the latitude at which the straight line on the map crosses the antimeridian."""
    start, end = before[0] % 360, after[0] % 360  # on both sides of 180
    return before[1] + (180.0 - start) / (end - start) * (after[1] - before[1])
