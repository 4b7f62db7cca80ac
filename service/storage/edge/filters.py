"""Translate filters into the types of Qdrant Edge."""

from typing import Any

import qdrant_edge as edge

from service.storage.points.filters import AnyOf, BeginsWith, Clause, Condition, Known


def as_filter(where: Condition) -> edge.Filter:
    """Return a condition as a filter of Qdrant Edge."""
    return edge.Filter(
        must=[_as_condition(clause) for clause in where.must] or None,
        must_not=[_as_condition(clause) for clause in where.must_not] or None,
    )


def _as_condition(clause: Clause) -> Any:
    match clause:
        case AnyOf(key, words):
            return edge.FieldCondition(key, match=edge.MatchAny(list(words)))
        case BeginsWith(key, word):
            return edge.FieldCondition(key, match=edge.MatchPrefix(word))
        case Known(key):
            return edge.Filter(must_not=[edge.IsEmptyCondition(key)])
        case _:
            raise TypeError(f"no shard is searched by {clause}")
