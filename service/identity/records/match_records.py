"""Records of matches, and the judgements of analysts."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field, JsonValue, model_validator

from service.contract.chip import Modality
from service.contract.choice import Choice
from service.contract.utc_time import UtcTime
from service.identity.records.audit import AuditPosition
from service.identity.records.base import RECORDED, Line, Note, Record, StatedFacts
from service.identity.records.matches import Match, Verdict


class Decision(Choice):
    """What an analyst decides about a match.

    `confirmed`: the query shows the named vessel. `rejected`: it shows none of the candidates.
    `withdrawn`: the previous judgement no longer applies.
    """

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class _Decided(Record):
    """A decision; it names a vessel exactly when it is `confirmed`."""

    decision: Decision
    vessel_id: UUID | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _vessel_belongs_to_confirmation(self) -> Self:
        if (self.vessel_id is not None) is not (self.decision is Decision.CONFIRMED):
            raise ValueError("vessel_id is needed when the decision is confirmed, and only then")
        return self


class NewJudgement(_Decided, StatedFacts):
    """The decision that an analyst sends."""

    seen: int | None = Field(
        None,
        ge=0,
        description="how many judgements of the match you have seen; if there are others, this one "
        "is refused with 409",
    )


class Judgement(_Decided):
    """Who decided what, when and why."""

    by: str
    at: UtcTime


class AnsweringModel(Record):
    """The bundle that answered, and the domain of its training data."""

    bundle_id: str
    name: str
    training_domain: str


class Finding(Record):
    """Why an open sighting was matched again: a chip that a vessel got since."""

    vessel_id: UUID
    sighting_id: UUID


class MatchState(Choice):
    """How a match came about, and whether an analyst has dealt with it.

    `asked`: a client asked, `new`: the sighting was matched again, because a vessel got a chip; and
    no analyst has decided since. `settled`: the match is judged, or its sighting got a vessel by
    another match.
    """

    ASKED = "asked"
    NEW = "new"
    SETTLED = "settled"


class MatchRecord(Record):
    """A match as it was answered, and all its judgements, the latest last.

    `found_by` is set when the service matched the sighting again, `overtaken` when the sighting got
    a vessel by another match, `unannounced` while the match is to be sent to a webhook. `apart` are
    open sightings of which an analyst said that they show other ships than the query.

    `audit` is the place of the match in the audit log.
    `unsettled` means that the query sighting may not have been moved yet as the latest judgement
    says; recovery finishes that.
    """

    match: Match
    asked_at: UtcTime
    asked_by: str
    options: dict[str, JsonValue]
    model: AnsweringModel
    audit: AuditPosition
    found_by: Finding | None = None
    overtaken: bool = False
    unannounced: bool = False
    apart: tuple[UUID, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    unsettled: bool = False

    @property
    def id(self) -> UUID:
        """The id of the match."""
        return self.match.id

    @property
    def judgement(self) -> Judgement | None:
        """The judgement in force; None before the first one and after a withdrawal."""
        latest = self.judgements[-1] if self.judgements else None
        return None if latest and latest.decision is Decision.WITHDRAWN else latest

    @property
    def moves_sighting(self) -> bool:
        """Whether the latest judgement gives the query sighting a vessel, or takes it away."""
        return any(one.decision is Decision.CONFIRMED for one in self.judgements[-2:])

    @property
    def standing(self) -> "Standing":
        """Whether the match is confirmed, rejected or open."""
        judgement = self.judgement
        return Standing(judgement.decision.value) if judgement else Standing.OPEN

    @property
    def state(self) -> MatchState:
        """Whether it was asked, is new, or is settled."""
        if self.overtaken or self.judgement is not None:
            return MatchState.SETTLED
        return MatchState.ASKED if self.found_by is None else MatchState.NEW

    @classmethod
    def from_record(cls, text: str | bytes) -> "MatchRecord":
        """Read a stored record, perhaps written under other rules for attributes."""
        return cls.model_validate_json(text, context=RECORDED)


class Standing(Choice):
    """The judgement in force in one word; `open` when there is none."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Area(Record):
    """A rectangle of degrees; `west` is greater than `east` if it crosses the antimeridian."""

    west: float = Field(ge=-180, le=180)
    south: float = Field(ge=-90, le=90)
    east: float = Field(ge=-180, le=180)
    north: float = Field(ge=-90, le=90)

    @model_validator(mode="after")
    def _south_is_below_north(self) -> "Area":
        if self.south > self.north:
            raise ValueError("south lies above north; give west, south, east, north")
        return self


class MatchFilter(Record):
    """Which matches to list; None matches any value.

    `vessel_id` is a candidate or the confirmed vessel, and so is any of `merged_ids`, the vessels
    that were merged into it; cursors hold for all of them. `case` is compared without case, and so
    are `file_name` and `note`, of which a part is enough; `since` (inclusive) and `until`
    (exclusive) bound the time of the request; `area` holds the position of the query.
    """

    verdict: Verdict | None = None
    standing: Standing | None = None
    state: MatchState | None = None
    modality: Modality | None = None
    vessel_id: UUID | None = None
    merged_ids: tuple[UUID, ...] = Field((), repr=False)
    sighting_id: UUID | None = None
    case: Line | None = None
    file_name: Line | None = None
    note: Line | None = None
    since: UtcTime | None = None
    until: UtcTime | None = None
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class MatchPage:
    """One page of matches, newest first; `next_cursor` is None on the last."""

    matches: Sequence[MatchRecord]
    next_cursor: str | None


def new_match_id(now: datetime) -> UUID:
    """Return a UUID of version 7 (RFC 9562, section 5.7): ids of later matches are greater.

    Args:
        now: the present, UTC, used to the millisecond.
    """
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    random_bits = secrets.randbits(74)
    time_and_version = milliseconds << 16 | 0x7 << 12 | random_bits >> 62
    return UUID(int=time_and_version << 64 | 0b10 << 62 | random_bits & (1 << 62) - 1)
