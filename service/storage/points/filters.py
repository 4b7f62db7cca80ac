"""Filters as plain values, which each adapter translates into the types of its client."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from service.contract.chip import Modality
from service.identity.records.sightings import SightingFilter
from service.identity.records.vessels import VesselFilter, VesselState
from service.storage.points import payloads
from service.storage.points.search_words import SHORT, STARTS, WORDS, words_of


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds one of these words."""

    key: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """The field holds none of these words."""

    key: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class BeginsWith:
    """One of the words in the field begins with this word."""

    key: str
    word: str


@dataclass(frozen=True, slots=True)
class BetweenOrUnknown:
    """The number lies in this closed range, or is unknown."""

    key: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Since:
    """The time is known and is `start` or later."""

    key: str
    start: datetime


@dataclass(frozen=True, slots=True)
class Before:
    """The time is known and earlier than `end`."""

    key: str
    end: datetime


@dataclass(frozen=True, slots=True)
class Inside:
    """The position is known and lies in the rectangle, which may cross the antimeridian."""

    key: str
    west: float
    south: float
    east: float
    north: float

    def boxes(self) -> list["Inside"]:
        """Return rectangles that do not cross the antimeridian: this one, or its two parts."""
        if self.west <= self.east:
            return [self]
        return [replace(self, east=180.0), replace(self, west=-180.0)]


def lat_key(key: str) -> str:
    """Return the field of the latitude; as a number it has an index that takes little memory."""
    return f"{key}.lat"


def lon_key(key: str) -> str:
    """Return the field of the longitude of a position."""
    return f"{key}.lon"


@dataclass(frozen=True, slots=True)
class Known:
    """The field exists and is not null."""

    key: str


Clause = AnyOf | NoneOf | BeginsWith | BetweenOrUnknown | Since | Before | Inside | Known


@dataclass(frozen=True, slots=True)
class Condition:
    """All of `must` hold and none of `must_not`."""

    must: tuple[Clause, ...] = ()
    must_not: tuple[Clause, ...] = ()


MAX_SEARCH_WORDS = 8

EVERYTHING = Condition()
SIGHTINGS_OF_VESSELS = Condition((Known(payloads.VESSEL_ID),))
OPEN_SIGHTINGS = Condition((), (Known(payloads.VESSEL_ID),))
UNCOMPARED_SIGHTINGS = Condition((AnyOf(payloads.UNCOMPARED, [payloads.YES]),))
UNGROUPED_SIGHTINGS = Condition((AnyOf(payloads.UNCOMPARED, [payloads.OPEN]),))
GROUPED_SIGHTINGS = Condition((Known(payloads.GROUP),), (Known(payloads.VESSEL_ID),))
TENTATIVE_SIGHTINGS = Condition((Known(payloads.TENTATIVE),))
CONFIRMED_SIGHTINGS = Condition(must_not=(Known(payloads.TENTATIVE),))


def sighting_clauses(where: SightingFilter) -> tuple[Clause, ...]:
    """Return the clauses for sightings with a vessel that pass the filter."""
    clauses: list[Clause] = [Known(payloads.VESSEL_ID)]
    if where.modality is not None:
        clauses.append(AnyOf(payloads.MODALITY, [where.modality.value]))
    if where.vessel_types is not None:
        clauses.append(AnyOf(payloads.VESSEL_TYPE, [t.casefold() for t in where.vessel_types]))
    if where.vessel_length_m is not None:
        clauses.append(BetweenOrUnknown(payloads.VESSEL_LENGTH_M, *where.vessel_length_m))
    if where.other_chips:
        clauses.append(NoneOf(payloads.CHIP, where.other_chips))
    return tuple(clauses)


def vessel_condition(where: VesselFilter) -> Condition:
    """Return the condition for visible vessels that pass the filter; its name is ignored."""
    clauses: list[Clause] = [in_state([s for s in VesselState if s.visible])]
    kind = None if where.type is None else where.type.casefold()
    exact = {payloads.IMO: where.imo, payloads.MMSI: where.mmsi, payloads.TYPE: kind}
    clauses += [AnyOf(key, [value]) for key, value in exact.items() if value is not None]
    if where.search is not None:
        clauses += search_clauses(where.search)
    return Condition(tuple(clauses))


def search_clauses(text: str) -> list[Clause]:
    """Return the clauses for vessels with words that begin with the words of the text.

    A text without words finds nothing.
    """
    return [
        AnyOf(STARTS, [word]) if len(word) <= SHORT else BeginsWith(WORDS, word)
        for word in words_of(text)[:MAX_SEARCH_WORDS] or [""]
    ]


def in_state(states: Collection[VesselState]) -> AnyOf:
    """Return the clause for vessels in one of these states."""
    return AnyOf(payloads.STATE, sorted(s.value for s in states))


def of_vessels(ids: Collection[UUID]) -> AnyOf:
    """Return the clause for sightings of these vessels."""
    return AnyOf(payloads.VESSEL_ID, sorted(str(i) for i in ids))


def open_of(modality: Modality, compared: bool) -> Condition:
    """Return the condition for open sightings of a sensor type; with `compared` only such."""
    without = OPEN_SIGHTINGS.must_not + (UNGROUPED_SIGHTINGS.must if compared else ())
    return Condition((AnyOf(payloads.MODALITY, [modality.value]),), without)


def in_groups(groups: Collection[UUID]) -> Condition:
    """Return the condition for open sightings in these groups."""
    members = AnyOf(payloads.GROUP, sorted(str(one) for one in groups))
    return Condition((members,), OPEN_SIGHTINGS.must_not)


def shows_chip(sha256: str) -> Condition:
    """Return the condition for sightings of this chip."""
    return Condition((AnyOf(payloads.CHIP, [sha256]),))
