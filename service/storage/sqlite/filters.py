"""Translate filters into SQL."""

from collections.abc import Collection
from typing import Any

from service.storage.points import filters
from service.storage.points.payloads import timestamp

Sql = tuple[str, list[Any]]
"""An expression, and the values of its parameters."""

TRUE: Sql = ("TRUE", [])


def as_expression(where: filters.Condition, lists: Collection[str]) -> Sql:
    """Return a condition as an expression over a row of `point`.

    Args:
        where: the condition; it names fields that the table has as columns, or `lists`.
        lists: the fields with several words, which are in the table `word`.
    """
    parts = [_as_expression(clause, lists) for clause in where.must]
    for text, values in (_as_expression(clause, lists) for clause in where.must_not):
        parts.append((f"({text}) IS NOT TRUE", values))
    return _joined(parts, " AND ") if parts else TRUE


def _as_expression(clause: filters.Clause, lists: Collection[str]) -> Sql:
    match clause:
        case filters.AnyOf(key, words) if key in lists:
            among = f"word IN ({marks(words)})"
            return f"point.id IN (SELECT id FROM word WHERE field = ? AND {among})", [key, *words]
        case filters.AnyOf(key, words):
            return f"{column(key)} IN ({marks(words)})", [*words]
        case filters.Since(key, start):
            return f"{column(key)} >= ?", [timestamp(start)]
        case filters.Before(key, end):
            return f"{column(key)} < ?", [timestamp(end)]
        case filters.Inside():
            return _joined([_box(one) for one in clause.boxes()], " OR ")
        case filters.Known(key):
            return f"{column(key)} IS NOT NULL", []
        case _:
            raise TypeError(f"no table is searched by {clause}")


def column(key: str) -> str:
    """Return the column of a field."""
    return f'point."{key}"'


def _box(area: filters.Inside) -> Sql:
    lat, lon = column(filters.lat_key(area.key)), column(filters.lon_key(area.key))
    between = f"{lat} BETWEEN ? AND ? AND {lon} BETWEEN ? AND ?"
    return between, [area.south, area.north, area.west, area.east]


def _joined(parts: list[Sql], word: str) -> Sql:
    expressions = [f"({text})" for text, _ in parts]
    return word.join(expressions), [value for _, values in parts for value in values]


def marks(values: Collection[object]) -> str:
    """Return a question mark for each value."""
    return ", ".join("?" * len(values))
