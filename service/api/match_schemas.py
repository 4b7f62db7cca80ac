"""Response bodies of match records."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from service.api.chip_schemas import QueryOut, ResponseBody, SightingOut
from service.api.schemas import BaseMatchOut, CandidateOut
from service.identity.records.audit import AuditPosition
from service.identity.records.match_records import (
    Decision,
    Finding,
    MatchPage,
    MatchRecord,
    MatchState,
    Standing,
)
from service.identity.records.matches import Verdict
from service.identity.review import MatchDetail

STATE_HELP = (
    "`asked` by a client, or `new`: the service matched the sighting again because a vessel got a "
    "chip; and no analyst has decided since; `settled`: the match is judged, or its chip got a "
    "vessel otherwise"
)


class JudgementOut(ResponseBody):
    """What an analyst decided; `vessel_id` is null unless a vessel was confirmed."""

    decision: Decision
    vessel_id: UUID | None
    by: str = Field(description="name of the analyst's key; `local` while no key is required")
    at: datetime
    note: str | None


class MatchSummary(ResponseBody):
    """A stored match in a list."""

    match_id: UUID
    asked_at: datetime
    asked_by: str
    verdict: Verdict
    standing: Standing = Field(description="what analysts decided")
    state: MatchState = Field(description=STATE_HELP)
    query: QueryOut
    first: CandidateOut | None = Field(description="the most probable vessel")
    none_probability: float | None = Field(
        description="that the ship is none of the vessels compared; null when none was compared"
    )
    judgement: JudgementOut | None = Field(description="the judgement in force")
    found_by: Finding | None = Field(
        description="set when the service asked again by itself: the vessel and its new chip"
    )

    @classmethod
    def of(cls, record: MatchRecord) -> "MatchSummary":
        """Build the summary of a record."""
        match = record.match
        return cls.made_of(
            record,
            match_id=record.id,
            verdict=match.verdict,
            query=QueryOut.of(match.query, stored=match.stored),
            first=match.candidates[0] if match.candidates else None,
            none_probability=match.none_probability,
        )


class MatchListing(ResponseBody):
    """One page of matches; pass `next_cursor` as `cursor` to get the next page."""

    matches: tuple[MatchSummary, ...]
    next_cursor: str | None

    @classmethod
    def of(cls, page: MatchPage) -> "MatchListing":
        """Build the listing of a page."""
        return cls.made_of(page, matches=[MatchSummary.of(record) for record in page.matches])


class MatchRecordOut(BaseMatchOut):
    """A match as it was answered, and what analysts decided since."""

    asked_at: datetime
    asked_by: str
    options: dict[str, JsonValue] = Field(description="the options of the request")
    standing: Standing
    state: MatchState = Field(description=STATE_HELP)
    found_by: Finding | None = Field(
        description="set when the service matched the sighting again: the vessel and its new chip"
    )
    audit: AuditPosition = Field(description="the entry of the match in the audit log")
    judgements: tuple[JudgementOut, ...] = Field(description="all judgements, the latest last")
    sighting: SightingOut | None = Field(
        description="the query sighting as it is now, with its vessel if it has one; null when "
        "the sighting was deleted"
    )

    @classmethod
    def of(cls, detail: MatchDetail) -> "MatchRecordOut":
        """Build the response from a record and its sighting."""
        record, sighting = detail.record, detail.sighting
        return cls.made_of(
            record,
            **dict(BaseMatchOut.of_match(record.match, record.model)),
            sighting=SightingOut.of(sighting) if sighting else None,
        )
