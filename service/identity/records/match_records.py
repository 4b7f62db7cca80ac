"""Matches that are remembered, and what analysts made of them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue, model_validator

from service.contract.chip import Modality
from service.contract.utc_time import UtcTime
from service.identity.records.base import RECORDED, Record
from service.identity.records.matches import Match, Verdict


class Decision(StrEnum):
    """What an analyst says of a match.

    `confirmed` names the vessel that the query shows, `rejected` says that it is none of the
    candidates, `withdrawn` takes back what was said before.
    """

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Judgement(Record):
    """Who decided what, when and why; `vessel_id` is there exactly when a vessel is confirmed."""

    decision: Decision
    vessel_id: UUID | None = None
    by: str
    at: UtcTime
    note: Annotated[str, Field(max_length=2000)] | None = None

    @model_validator(mode="after")
    def _vessel_belongs_to_confirmation(self) -> "Judgement":
        if (self.vessel_id is not None) is not (self.decision is Decision.CONFIRMED):
            raise ValueError("a vessel is named when it is confirmed, and only then")
        return self


class AnsweringModel(Record):
    """Which models answered, and what they were taught with."""

    bundle_id: str
    name: str
    training_domain: str


class MatchRecord(Record):
    """A match as it was answered, and every judgement of it since, the latest last.

    `unsettled` tells that the query sighting may not have the vessel yet that the latest judgement
    gives it; whoever finds it so finishes it.
    """

    match: Match
    asked_at: UtcTime
    asked_by: str
    options: dict[str, JsonValue]
    model: AnsweringModel
    judgements: tuple[Judgement, ...] = ()
    unsettled: bool = False

    @property
    def id(self) -> UUID:
        return self.match.id

    @property
    def judgement(self) -> Judgement | None:
        """The one that counts; None before the first and after a withdrawal."""
        latest = self.judgements[-1] if self.judgements else None
        return None if latest and latest.decision is Decision.WITHDRAWN else latest

    @property
    def standing(self) -> "Standing":
        judgement = self.judgement
        return Standing(judgement.decision.value) if judgement else Standing.OPEN

    @classmethod
    def from_record(cls, text: str | bytes) -> "MatchRecord":
        """A match that was written as JSON before, perhaps under other rules for attributes."""
        return cls.model_validate_json(text, context=RECORDED)


class Standing(StrEnum):
    """What became of a match so far."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class MatchFilter(Record):
    """Which matches a list shows; None leaves a property open.

    `vessel_id` is among the candidates or confirmed; `since` (included) and `until` (left out)
    bound the time of asking.
    """

    verdict: Verdict | None = None
    standing: Standing | None = None
    modality: Modality | None = None
    vessel_id: UUID | None = None
    sighting_id: UUID | None = None
    since: UtcTime | None = None
    until: UtcTime | None = None


@dataclass(frozen=True, slots=True)
class MatchPage:
    """One page of matches, newest first; `next_cursor` is None on the last."""

    matches: Sequence[MatchRecord]
    next_cursor: str | None


def new_match_id(now: datetime) -> UUID:
    """A UUID of version 7 (RFC 9562, section 5.7): ids of later matches are greater.

    Args:
        now: the present, UTC; milliseconds count.
    """
    milliseconds = int(now.timestamp() * 1000) & (1 << 48) - 1
    drawn = secrets.randbits(74)
    time_and_version = milliseconds << 16 | 0x7 << 12 | drawn >> 62
    return UUID(int=time_and_version << 64 | 0b10 << 62 | drawn & (1 << 62) - 1)
