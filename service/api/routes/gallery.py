"""`/gallery` and its sub-routes: register vessels and manage them."""

from typing import Annotated

from fastapi import APIRouter, Body, File, Form, Query, Request, Response
from fastapi.openapi.models import Example

from service.api.exports.lists import exported_track, exported_vessels
from service.api.exports.negotiation import JSON
from service.api.exports.responses import (
    DEFAULT_LIMIT,
    LIMIT_HELP,
    REPRESENTATIONS,
    wanted_media,
)
from service.api.known_fields import KNOWN_QUERY_ONLY, multipart_form
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import UPLOAD_STATUSES, documented
from service.api.schemas import MergeIn, SplitIn, TrackOut, VesselDetail, VesselListing, VesselOut
from service.api.strict_requests import StrictRoute
from service.api.uploads import BinaryFile, Id, parse_id, parse_uploads, parse_vessel
from service.identity.curate import Curation, VesselPatch
from service.identity.enrol import Enrolment, get_visible_vessel
from service.identity.ports.gallery import Gallery
from service.identity.records.base import PLAIN_NUMBER, Line
from service.identity.records.vessels import Imo, Mmsi, VesselFilter

VESSEL_EXAMPLE = (
    '{"name": "EXAMPLE STAR", "imo": "9074729", "type": "bulk carrier", "length_m": 190}'
)
METADATA_EXAMPLE = '[{"modality": "optical", "gsd_m": 0.75, "captured_at": "2026-03-02T10:12:00Z"}]'

Chips = Annotated[list[BinaryFile], File(description="one or more chips of this vessel")]
Metadata = Annotated[
    str | None,
    Form(
        description=(
            "JSON: a list with one object for each chip, or an object keyed by file name. Fields: "
            "modality, gsd_m, band, framing (auto or as_is), captured_at, lat, lon, sensor, "
            "source, licence, case, note"
        ),
        examples=[METADATA_EXAMPLE],
    ),
]
ENROL_FORM = multipart_form("chips", several=True, texts=["vessel", "chip_metadata"])
CHIPS_FORM = multipart_form("chips", several=True, texts=["chip_metadata"])
PATCH_EXAMPLES: dict[str, Example] = {
    "correction": {"value": {"name": "EXAMPLE STAR", "flag": "PA", "source": "port call"}},
    "flag unknown": {"value": {"flag": None}},
}
ERRORS_OF_CHANGES = documented(*UPLOAD_STATUSES, 404, 409, 415, 422, 429, 503, 507)
RESPONSES_OF_ENROLMENT = ERRORS_OF_CHANGES | {
    200: {"model": VesselDetail, "description": "the vessel has these chips already"}
}


def gallery_router(
    gallery: Gallery, enrolment: Enrolment, curation: Curation, max_chips: int
) -> APIRouter:
    """Return the routes that register, show, change and remove vessels."""
    router = APIRouter(
        prefix="/gallery",
        tags=["gallery"],
        dependencies=[KNOWN_QUERY_ONLY],
        route_class=StrictRoute,
    )

    @router.post(
        "",
        status_code=201,
        responses=RESPONSES_OF_ENROLMENT,
        dependencies=[ENROL_FORM, IDEMPOTENCY_HEADER],
    )
    def enrol_vessel(
        response: Response,
        vessel: Annotated[
            str,
            Form(
                description=(
                    "JSON: name, imo, mmsi, callsign, flag, type, length_m, beam_m; source and "
                    "as_of tell where and when they come from; id is optional (a UUID)"
                ),
                examples=[VESSEL_EXAMPLE],
            ),
        ],
        chips: Chips,
        chip_metadata: Metadata = None,
    ) -> VesselDetail:
        """Register a vessel with its chips; a repeated request changes nothing and returns 200."""
        uploads = parse_uploads(chips, chip_metadata, max_chips)
        enrolled = enrolment.enrol(parse_vessel(vessel), uploads)
        response.status_code = 201 if enrolled.created else 200
        response.headers["Location"] = f"/gallery/{enrolled.vessel.id}"
        return VesselDetail.of_enrolled(enrolled)

    @router.get("", response_model=VesselListing, responses=REPRESENTATIONS | documented(422, 503))
    def list_vessels(
        request: Request,
        response: Response,
        search: Annotated[
            Line | None,
            Query(
                description="beginnings of words of the name, or of IMO number, MMSI or call sign"
            ),
        ] = None,
        name: Annotated[Line | None, Query(description="part of the name")] = None,
        imo: Imo | None = None,
        mmsi: Mmsi | None = None,
        type: Annotated[Line | None, Query(description="registered type")] = None,  # noqa: A002
        limit: Annotated[
            int | None, PLAIN_NUMBER, Query(ge=1, le=500, description=LIMIT_HELP)
        ] = None,
        cursor: Annotated[
            str | None, Query(description="`next_cursor` of the previous page")
        ] = None,
    ) -> VesselListing | Response:
        """List the registered vessels, page by page, or export them as CSV or GeoJSON.

        As GeoJSON, a vessel is at its last known position.
        """
        where = VesselFilter(search=search, name=name, imo=imo, mmsi=mmsi, type=type)
        media = wanted_media(request, response)
        if media != JSON:
            return exported_vessels(gallery, where).response(request, media, limit, cursor)
        page = gallery.list_vessels(where, limit or DEFAULT_LIMIT, cursor)
        return VesselListing(
            vessels=tuple(VesselOut.model_validate(v) for v in page.vessels),
            next_cursor=page.next_cursor,
        )

    @router.get("/{vessel_id}", responses=documented(404, 422, 503))
    def show_vessel(vessel_id: Id) -> VesselDetail:
        """Show a vessel with its sightings."""
        vessel = get_visible_vessel(gallery, parse_id("vessel", vessel_id))
        return VesselDetail.of(vessel, gallery.sightings_of([vessel.id]))

    @router.get(
        "/{vessel_id}/track",
        response_model=TrackOut,
        responses=REPRESENTATIONS | documented(404, 422, 503),
    )
    def show_track(request: Request, response: Response, vessel_id: Id) -> TrackOut | Response:
        """Show where and when a vessel was, in order of time, or export it as CSV or GeoJSON.

        Sightings without a time or a position are left out.
        """
        media = wanted_media(request, response)
        vessel = get_visible_vessel(gallery, parse_id("vessel", vessel_id))
        sightings = gallery.sightings_of([vessel.id])
        if media != JSON:
            return exported_track(vessel, sightings).response(request, media, None, None)
        return TrackOut.of(vessel, sightings)

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

    @router.post(
        "/{vessel_id}/chips",
        status_code=201,
        responses=RESPONSES_OF_ENROLMENT,
        dependencies=[CHIPS_FORM, IDEMPOTENCY_HEADER],
    )
    def add_chips(
        response: Response, vessel_id: Id, chips: Chips, chip_metadata: Metadata = None
    ) -> VesselDetail:
        """Add sightings to a vessel, all or none; chips that it already has change nothing.

        Returns 200 when the vessel has all of the chips already.
        """
        uploads = parse_uploads(chips, chip_metadata, max_chips)
        enrolled = enrolment.add_chips(parse_id("vessel", vessel_id), uploads)
        response.status_code = 201 if enrolled.stored.added else 200
        return VesselDetail.of_enrolled(enrolled)

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
