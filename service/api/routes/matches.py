"""`/matches`: what was answered before, and what analysts made of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query

from service.api.known_fields import KNOWN_QUERY
from service.api.match_schemas import MatchListing, MatchRecordOut
from service.api.middleware.idempotency import REPEATABLE
from service.api.problems import UPLOAD, documented
from service.api.uploads import parse_id
from service.contract.chip import Modality
from service.contract.utc_time import UtcTime
from service.identity.judge import MatchJudge, NewJudgement
from service.identity.ports.matches import MatchStore
from service.identity.records.match_records import MatchFilter, Standing
from service.identity.records.matches import Match, Verdict
from service.observability.metrics import Telemetry

VERDICT_EXAMPLES = [
    {
        "decision": "confirmed",
        "vessel_id": "00000000-0000-4000-8000-000000000000",
        "note": "same deck cranes",
    },
    {"decision": "rejected"},
    {"decision": "withdrawn"},
]


def matches_router(matches: MatchStore, judging: MatchJudge, telemetry: Telemetry) -> APIRouter:
    """The routes that look matches up and take the analyst's verdict."""
    router = APIRouter(prefix="/matches", tags=["history"], dependencies=[KNOWN_QUERY])

    @router.get("", responses=documented(422, 503))
    def list_matches(
        verdict: Verdict | None = None,
        standing: Annotated[Standing | None, Query(description="what became of it")] = None,
        modality: Annotated[Modality | None, Query(description="of the query")] = None,
        vessel_id: Annotated[
            UUID | None, Query(description="a candidate, or the vessel that was confirmed")
        ] = None,
        sighting_id: Annotated[UUID | None, Query(description="the query sighting")] = None,
        since: Annotated[UtcTime | None, Query(description="asked then or later")] = None,
        until: Annotated[UtcTime | None, Query(description="asked before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(description="`next_cursor` of the last page")] = None,
    ) -> MatchListing:
        """The matches that were stored, newest first, page by page."""
        where = MatchFilter(
            verdict=verdict,
            standing=standing,
            modality=modality,
            vessel_id=vessel_id,
            sighting_id=sighting_id,
            since=since,
            until=until,
        )
        return MatchListing.of(matches.page(where, limit, cursor))

    @router.get("/{match_id}", responses=documented(404, 422, 503))
    def show(match_id: str) -> MatchRecordOut:
        """One match as it was answered, and what became of it."""
        return MatchRecordOut.of(judging.show(parse_id("match", match_id)))

    @router.post(
        "/{match_id}/verdict",
        responses=documented(*UPLOAD, 404, 409, 415, 422, 429, 503, 507),
        dependencies=[REPEATABLE],
    )
    def judge(
        match_id: str, said: Annotated[NewJudgement, Body(examples=VERDICT_EXAMPLES)]
    ) -> MatchRecordOut:
        """The analyst decides: `confirmed` with any registered vessel, `rejected`, or `withdrawn`.

        A confirmed vessel has the query sighting from then on, so that it is evidence in later
        matches; rejecting leaves the sighting open, and withdrawing opens it again. Every
        judgement is remembered and the latest counts. Matches of one chip share its sighting,
        which the latest judgement of any of them moves.
        """
        remembered = judging.judge(parse_id("match", match_id), said)
        match = remembered.kept.match
        named = _named(match, said.vessel_id)
        telemetry.judgements.labels(match.verdict.value, said.decision.value, named).inc()
        return MatchRecordOut.of(remembered)

    return router


def _named(match: Match, vessel_id: UUID | None) -> str:
    """Which vessel was confirmed: the `first` candidate, an `other` one, or `none`."""
    if vessel_id is None:
        return "none"
    firsts = [candidate.vessel.id for candidate in match.candidates[:1]]
    return "first" if vessel_id in firsts else "other"
