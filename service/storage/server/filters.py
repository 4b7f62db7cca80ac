"""Translate filters into the types of the Qdrant client."""

from qdrant_client import models

from service.storage.points import filters


def as_filter(where: filters.Condition) -> models.Filter:
    """Return a condition as a filter of the client."""
    return models.Filter(
        must=[_as_condition(clause) for clause in where.must] or None,
        must_not=[_as_condition(clause) for clause in where.must_not] or None,
    )


def _as_condition(clause: filters.Clause) -> models.Condition:
    match clause:
        case filters.AnyOf(key, words):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(words)))
        case filters.NoneOf(key, words):
            listed = models.FieldCondition(key=key, match=models.MatchAny(any=list(words)))
            return models.Filter(must_not=[listed])
        case filters.BeginsWith(key, word):
            return models.FieldCondition(key=key, match=models.MatchPrefix(prefix=word))
        case filters.BetweenOrUnknown(key, low, high):
            known = models.FieldCondition(key=key, range=models.Range(gte=low, lte=high))
            return models.Filter(should=[known, _unknown(key)])
        case filters.Since(key, start):
            return models.FieldCondition(key=key, range=models.DatetimeRange(gte=start))
        case filters.Before(key, end):
            return models.FieldCondition(key=key, range=models.DatetimeRange(lt=end))
        case filters.Inside():
            return models.Filter(should=[_box(one) for one in clause.boxes()])
        case filters.Known(key):
            return models.Filter(must_not=[_unknown(key)])


def _box(area: filters.Inside) -> models.Filter:
    lat = models.Range(gte=area.south, lte=area.north)
    lon = models.Range(gte=area.west, lte=area.east)
    return models.Filter(
        must=[
            models.FieldCondition(key=filters.lat_key(area.key), range=lat),
            models.FieldCondition(key=filters.lon_key(area.key), range=lon),
        ]
    )


def _unknown(key: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
