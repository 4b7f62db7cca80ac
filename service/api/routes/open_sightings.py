"""`/sightings/open`: sightings whose ship is unknown, grouped by what may be one ship."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from fastapi.openapi.models import Example

from service.api.exports.responses import Cursor
from service.api.group_schemas import DifferentSightingsIn, EnrolSightingsIn, GroupListing
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import ERRORS_OF_CHANGES, documented
from service.api.schemas import VesselDetail
from service.api.strict_requests import strict_router
from service.identity.matching.grouping import THRESHOLD
from service.identity.matching.groups import SightingGroups
from service.identity.records.match_records import AnsweringModel

MAX_GROUPS = 50
EXAMPLE_IDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2)]
ENROL_EXAMPLES: dict[str, Example] = {
    "two sightings": {"value": {"sightings": EXAMPLE_IDS, "vessel": {"name": "UNKNOWN 7"}}}
}
DIFFERENT_EXAMPLES: dict[str, Example] = {
    "not one ship": {"value": {"sightings": EXAMPLE_IDS}},
    "withdrawn": {"value": {"sightings": EXAMPLE_IDS, "different": False}},
}


def open_sightings_router(groups: SightingGroups, model: AnsweringModel) -> APIRouter:
    """Return the routes for sightings that wait for their vessel."""
    router = strict_router("open sightings", "/sightings/open")

    @router.get("/groups", responses=documented(422, 503))
    def list_groups(
        limit: Annotated[int, Query(ge=1, le=MAX_GROUPS)] = 20, cursor: Cursor = None
    ) -> GroupListing:
        """List groups of open sightings that may show one unknown ship, the largest first.

        The service compares each open sighting with the others in the background. A group is a
        suggestion to look at: a ship of the same design looks alike. Sightings of one image, and
        those between which no ship could have sailed in time, are never in one group.
        """
        return GroupListing.of(groups.page(limit, cursor), THRESHOLD, model)

    @router.post(
        "/enrol",
        status_code=201,
        responses=ERRORS_OF_CHANGES
        | {200: {"model": VesselDetail, "description": "the vessel has these sightings already"}},
        dependencies=[IDEMPOTENCY_HEADER],
    )
    def enrol_sightings(
        response: Response, body: Annotated[EnrolSightingsIn, Body(openapi_examples=ENROL_EXAMPLES)]
    ) -> VesselDetail:
        """Register a new vessel with open sightings as its chips, and confirm their matches.

        Chips that were sent with one of them as chips of one ship come along. A repeated request
        changes nothing and returns 200.
        """
        enrolled = groups.enrol(body.sightings, body.vessel)
        response.status_code = 201 if enrolled.created else 200
        response.headers["Location"] = f"/gallery/{enrolled.vessel.id}"
        return VesselDetail.of_enrolled(enrolled)

    @router.post(
        "/different",
        status_code=204,
        responses=ERRORS_OF_CHANGES,
        dependencies=[IDEMPOTENCY_HEADER],
    )
    def mark_different(
        body: Annotated[DifferentSightingsIn, Body(openapi_examples=DIFFERENT_EXAMPLES)],
    ) -> None:
        """Record that open sightings show different ships, so that no group holds two of them."""
        groups.mark_different(body.sightings, body.others, body.different)

    return router
