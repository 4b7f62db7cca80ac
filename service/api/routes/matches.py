"""`/matches`: stored matches and the judgements of analysts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.openapi.models import Example

from service.api.exports.lists import exported_matches
from service.api.exports.negotiation import JSON
from service.api.exports.responses import (
    DEFAULT_LIMIT,
    REPRESENTATIONS,
    Cursor,
    Limit,
    wanted_media,
)
from service.api.match_schemas import STATE_HELP, MatchListing, MatchRecordOut
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import ERRORS_OF_CHANGES, documented
from service.api.strict_requests import strict_router
from service.api.uploads import Id, parse_id
from service.api.validation_messages import validated
from service.contract.chip import Modality
from service.contract.utc_time import BoundTime
from service.identity.errors import InvalidRequestError
from service.identity.ports.matches import MatchStore
from service.identity.records.base import Line, plain_number
from service.identity.records.match_records import (
    Area,
    MatchFilter,
    MatchState,
    NewJudgement,
    Standing,
)
from service.identity.records.matches import Match, Verdict
from service.identity.review import MatchReview
from service.observability.metrics import Telemetry

JUDGEMENT_EXAMPLES: dict[str, Example] = {
    "rejected": {"value": {"decision": "rejected"}},
    "confirmed": {
        "value": {
            "decision": "confirmed",
            "vessel_id": "00000000-0000-4000-8000-000000000000",
            "note": "same deck cranes",
        }
    },
    "withdrawn": {"value": {"decision": "withdrawn"}},
}


def matches_router(matches: MatchStore, review: MatchReview, telemetry: Telemetry) -> APIRouter:
    """Return the routes that look matches up and record the judgements of analysts."""
    router = strict_router("history", "/matches")

    @router.get("", response_model=MatchListing, responses=REPRESENTATIONS | documented(422, 503))
    def list_matches(
        request: Request,
        response: Response,
        verdict: Verdict | None = None,
        standing: Annotated[Standing | None, Query(description="what analysts decided")] = None,
        state: Annotated[MatchState | None, Query(description=STATE_HELP)] = None,
        modality: Annotated[Modality | None, Query(description="of the query")] = None,
        vessel_id: Annotated[
            UUID | None,
            Query(
                description="a candidate, or the vessel that was confirmed; vessels that were "
                "merged into it count, too"
            ),
        ] = None,
        sighting_id: Annotated[UUID | None, Query(description="the query sighting")] = None,
        case: Annotated[Line | None, Query(description="the case of the chip")] = None,
        file_name: Annotated[Line | None, Query(description="part of the file name")] = None,
        note: Annotated[Line | None, Query(description="part of the note on the chip")] = None,
        since: Annotated[BoundTime | None, Query(description="asked at this time or later")] = None,
        until: Annotated[BoundTime | None, Query(description="asked before this time")] = None,
        area: Annotated[
            str | None,
            Query(
                description="position of the query inside west,south,east,north in degrees; west "
                "is greater than east across the antimeridian",
                examples=["103.5,1.0,104.5,1.5"],
            ),
        ] = None,
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> MatchListing | Response:
        """List the stored matches, newest first, page by page, or export them.

        As GeoJSON, a match is at the position of its query.
        """
        where = MatchFilter(
            verdict=verdict,
            standing=standing,
            state=state,
            modality=modality,
            vessel_id=vessel_id,
            sighting_id=sighting_id,
            case=case,
            file_name=file_name,
            note=note,
            since=since,
            until=until,
            area=None if area is None else parse_area(area),
        )
        if since is not None and until is not None and since > until:
            raise InvalidRequestError("since is later than until; no match was asked in between")
        media = wanted_media(request, response)
        where = review.with_merged(where)
        if media != JSON:
            return exported_matches(matches, where).response(request, media, limit, cursor)
        return MatchListing.of(matches.page(where, limit or DEFAULT_LIMIT, cursor))

    @router.get("/{match_id}", responses=documented(404, 422, 503))
    def show_match(match_id: Id) -> MatchRecordOut:
        """Show a match as it was answered, with its judgements."""
        return MatchRecordOut.of(review.show(parse_id("match", match_id)))

    @router.post(
        "/{match_id}/verdict", responses=ERRORS_OF_CHANGES, dependencies=[IDEMPOTENCY_HEADER]
    )
    def judge_match(
        match_id: Id, judgement: Annotated[NewJudgement, Body(openapi_examples=JUDGEMENT_EXAMPLES)]
    ) -> MatchRecordOut:
        """Judge a match: `confirmed` with any registered vessel, `rejected`, or `withdrawn`.

        Confirming assigns the query sighting to the vessel, so that it is evidence in later
        matches, with the facts that this match stated. Rejecting the match or withdrawing the
        confirmation takes the vessel away again. All judgements of a match are stored and its
        latest is in force; `seen` keeps one analyst from overruling another unknowingly. Matches of
        one chip with the same stated facts share a sighting, which belongs to the vessel confirmed
        last of those that are confirmed.
        """
        detail = review.judge(parse_id("match", match_id), judgement)
        match = detail.record.match
        confirmed = _confirmed_candidate(match, judgement.vessel_id)
        telemetry.judgements.labels(match.verdict.value, judgement.decision.value, confirmed).inc()
        return MatchRecordOut.of(detail)

    return router


def parse_area(text: str) -> Area:
    """Parse `west,south,east,north` in degrees; raise InvalidRequestError if it is none."""
    sides = text.split(",")
    if len(sides) != 4:
        raise InvalidRequestError("area: expected four numbers: west,south,east,north in degrees")
    names = ("west", "south", "east", "north")
    try:
        numbers = dict(zip(names, map(plain_number, sides), strict=True))
    except ValueError as error:
        raise InvalidRequestError(f"area: {error}") from error
    return validated(Area, numbers, "area")


def _confirmed_candidate(match: Match, vessel_id: UUID | None) -> str:
    """Return `first` if the first candidate was confirmed, `other` for others, or `none`."""
    if vessel_id is None:
        return "none"
    first = match.candidates[0].vessel.id if match.candidates else None
    return "first" if vessel_id == first else "other"
