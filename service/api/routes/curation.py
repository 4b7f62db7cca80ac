"""`/gallery/{vessel_id}`: correct, delete, restore, merge and split registered vessels."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import ERRORS_OF_CHANGES, documented
from service.api.schemas import MergeIn, SplitIn, VesselDetail, VesselOut
from service.api.strict_requests import strict_router
from service.api.uploads import Id, parse_id
from service.identity.curate import Curation, VesselPatch

PATCH_EXAMPLES: dict[str, Example] = {
    "correction": {"value": {"name": "EXAMPLE STAR", "flag": "PA", "source": "port call"}},
    "flag unknown": {"value": {"flag": None}},
}


def curation_router(curation: Curation) -> APIRouter:
    """Return the routes that change and remove vessels and their sightings."""
    router = strict_router("gallery", "/gallery")

    @router.patch("/{vessel_id}", responses=ERRORS_OF_CHANGES)
    def update_vessel(
        vessel_id: Id, patch: Annotated[VesselPatch, Body(openapi_examples=PATCH_EXAMPLES)]
    ) -> VesselOut:
        """Change attributes and record their source; null makes an attribute unknown."""
        return VesselOut.model_validate(curation.update(parse_id("vessel", vessel_id), patch))

    @router.delete("/{vessel_id}", status_code=204, responses=documented(404, 422, 503))
    def delete_vessel(vessel_id: Id) -> None:
        """Delete a vessel; its sightings become open, and matches keep what was said of it."""
        curation.delete(parse_id("vessel", vessel_id))

    @router.post(
        "/{vessel_id}/restore", responses=ERRORS_OF_CHANGES, dependencies=[IDEMPOTENCY_HEADER]
    )
    def restore_vessel(vessel_id: Id) -> VesselDetail:
        """Undo the deletion of a vessel, for as long as `CROSSFIX_RESTORE_DAYS` says.

        It gets back its sightings, but for those whose match was decided otherwise since.
        """
        return VesselDetail.of_enrolled(curation.restore(parse_id("vessel", vessel_id)))

    @router.delete(
        "/{vessel_id}/chips/{sighting_id}", status_code=204, responses=documented(404, 422, 503)
    )
    def remove_chip(vessel_id: Id, sighting_id: Id) -> None:
        """Remove a sighting of a vessel."""
        curation.remove_chip(parse_id("vessel", vessel_id), parse_id("sighting", sighting_id))

    @router.post(
        "/{vessel_id}/merge", responses=ERRORS_OF_CHANGES, dependencies=[IDEMPOTENCY_HEADER]
    )
    def merge_vessels(vessel_id: Id, body: MergeIn) -> VesselDetail:
        """Merge another vessel into this vessel, because both are the same ship."""
        return VesselDetail.of_enrolled(curation.merge(parse_id("vessel", vessel_id), body.other))

    @router.post(
        "/{vessel_id}/split",
        status_code=201,
        responses=ERRORS_OF_CHANGES,
        dependencies=[IDEMPOTENCY_HEADER],
    )
    def split_vessel(vessel_id: Id, body: SplitIn) -> VesselDetail:
        """Move sightings that show another ship to a new vessel."""
        return VesselDetail.of_enrolled(
            curation.split(parse_id("vessel", vessel_id), body.sightings, body.vessel)
        )

    return router
