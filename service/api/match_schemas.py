"""Match records over the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from service.api.schemas import AnsweredOut, CandidateOut, ModelOut, QueryOut, SightingOut, Wire
from service.identity.judge import MatchStanding
from service.identity.records.match_records import (
    Decision,
    Judgement,
    MatchPage,
    MatchRecord,
    Standing,
)
from service.identity.records.matches import Verdict


class JudgementOut(Wire):
    """What an analyst decided; `vessel_id` is null unless a vessel was confirmed."""

    decision: Decision
    vessel_id: UUID | None
    by: str = Field(description="name of the key that was shown; local where none is needed")
    at: datetime
    note: str | None

    @classmethod
    def of(cls, judgement: Judgement) -> "JudgementOut":
        return cls.model_validate(judgement.model_dump())


class MatchSummary(Wire):
    """A remembered match in a list."""

    match_id: UUID
    asked_at: datetime
    asked_by: str
    verdict: Verdict
    standing: Standing = Field(description="what became of it")
    query: QueryOut
    first: CandidateOut | None = Field(description="the most probable vessel")
    judgement: JudgementOut | None = Field(description="the one that counts")

    @classmethod
    def of(cls, kept: MatchRecord) -> "MatchSummary":
        match = kept.match
        return cls(
            match_id=kept.id,
            asked_at=kept.asked_at,
            asked_by=kept.asked_by,
            verdict=match.verdict,
            standing=kept.standing,
            query=QueryOut.of(match.query, stored=match.stored),
            first=CandidateOut.of(match.candidates[0]) if match.candidates else None,
            judgement=JudgementOut.of(kept.judgement) if kept.judgement else None,
        )


class MatchListing(Wire):
    """One page of matches; pass `next_cursor` as `cursor` for the next."""

    matches: tuple[MatchSummary, ...]
    next_cursor: str | None

    @classmethod
    def of(cls, page: MatchPage) -> "MatchListing":
        return cls(
            matches=tuple(MatchSummary.of(kept) for kept in page.matches),
            next_cursor=page.next_cursor,
        )


class MatchRecordOut(AnsweredOut):
    """A match as it was answered, and what became of it."""

    asked_at: datetime
    asked_by: str
    options: dict[str, JsonValue] = Field(description="what was asked for beside the chip")
    standing: Standing
    judgements: tuple[JudgementOut, ...] = Field(description="every one, the latest last")
    sighting: SightingOut | None = Field(
        description="the query sighting as it is now, with the vessel that has it; null when it "
        "was deleted"
    )

    @classmethod
    def of(cls, remembered: MatchStanding) -> "MatchRecordOut":
        kept, sighting = remembered.kept, remembered.sighting
        return cls(
            **dict(AnsweredOut.of_match(kept.match, ModelOut.of(kept.model))),
            asked_at=kept.asked_at,
            asked_by=kept.asked_by,
            options=kept.options,
            standing=kept.standing,
            judgements=tuple(JudgementOut.of(one) for one in kept.judgements),
            sighting=SightingOut.of(sighting) if sighting else None,
        )
