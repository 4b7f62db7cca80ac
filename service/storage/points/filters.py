"""Filters as plain values, which each adapter translates into its vendor's types."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.contract.utc_time import as_utc
from service.identity.records.sightings import SightingFilter
from service.identity.records.vessels import VesselFilter, VesselState
from service.storage.points import payloads


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds one of these words."""

    key: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class BetweenOrUnknown:
    """The number lies in this closed range, or is not known."""

    key: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class During:
    """The time is known and lies in this closed range; None leaves an end open."""

    key: str
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Before:
    """The time is known and earlier than this."""

    key: str
    end: datetime


@dataclass(frozen=True, slots=True)
class Near:
    """The position is known and lies within `radius_m` metres on the sphere."""

    key: str
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Known:
    """The field is there and not null."""

    key: str


Clause = AnyOf | BetweenOrUnknown | During | Before | Near | Known


@dataclass(frozen=True, slots=True)
class Condition:
    """All of `must` and none of `must_not`."""

    must: tuple[Clause, ...] = ()
    must_not: tuple[Clause, ...] = ()


def enrolled_sightings(where: SightingFilter) -> list[Clause]:
    """Sightings with a vessel that satisfy the filter. A time or place asked for must be known."""
    clauses: list[Clause] = [Known(payloads.VESSEL_ID)]
    if where.modality is not None:
        clauses.append(AnyOf(payloads.MODALITY, [where.modality.value]))
    if where.vessel_types is not None:
        clauses.append(AnyOf(payloads.VESSEL_TYPE, [t.casefold() for t in where.vessel_types]))
    if where.vessel_length_m is not None:
        clauses.append(BetweenOrUnknown(payloads.VESSEL_LENGTH_M, *where.vessel_length_m))
    if where.captured_between is not None and any(where.captured_between):
        start, end = where.captured_between
        clauses.append(
            During(
                payloads.CAPTURED_AT, as_utc(start) if start else None, as_utc(end) if end else None
            )
        )
    if where.within is not None:
        at = where.within.centre
        clauses.append(Near(payloads.LOCATION, at.lat, at.lon, where.within.radius_m))
    return clauses


def listed_vessels(where: VesselFilter) -> Condition:
    """Visible vessels with these attributes; the name is not looked at."""
    clauses: list[Clause] = [in_state([s for s in VesselState if s.visible])]
    kind = None if where.type is None else where.type.casefold()
    exact = {payloads.IMO: where.imo, payloads.MMSI: where.mmsi, payloads.TYPE: kind}
    clauses += [AnyOf(key, [value]) for key, value in exact.items() if value is not None]
    return Condition(tuple(clauses))


def in_state(states: Collection[VesselState]) -> AnyOf:
    return AnyOf(payloads.STATE, sorted(s.value for s in states))


def of_vessels(ids: Collection[UUID]) -> AnyOf:
    return AnyOf(payloads.VESSEL_ID, sorted(str(i) for i in ids))


def name_matches(name: str | None, wanted: str | None) -> bool:
    """Case-insensitive substring; everything matches when nothing is wanted."""
    return wanted is None or (name is not None and wanted.casefold() in name.casefold())
