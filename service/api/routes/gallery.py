"""`/gallery`: register vessels with their chips, list and show them."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response

from service.api.exports.lists import exported_track, exported_vessels
from service.api.exports.negotiation import JSON
from service.api.exports.responses import (
    DEFAULT_LIMIT,
    REPRESENTATIONS,
    Cursor,
    Limit,
    wanted_media,
)
from service.api.known_fields import multipart_form
from service.api.middleware.idempotency import IDEMPOTENCY_HEADER
from service.api.problems import ERRORS_OF_CHANGES, documented
from service.api.schemas import TrackOut, VesselDetail, VesselListing, VesselOut, VesselTypes
from service.api.strict_requests import strict_router
from service.api.uploads import BinaryFile, Id, parse_id, parse_uploads, parse_vessel
from service.identity.enrol import Enrolment, get_visible_vessel
from service.identity.ports.gallery import Gallery
from service.identity.records.base import Line
from service.identity.records.vessels import Imo, Mmsi, VesselFilter

VESSEL_EXAMPLE = (
    '{"name": "EXAMPLE STAR", "imo": "9074729", "type": "bulk carrier", "length_m": 190}'
)
METADATA_EXAMPLE = '[{"modality": "optical", "gsd_m": 0.75, "captured_at": "2026-03-02T10:12:00Z"}]'

MOST_TYPES = 500
MOST_CHIPS = 64

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
ENROL_FORM = multipart_form("chips", ["vessel", "chip_metadata"])
CHIPS_FORM = multipart_form("chips", ["chip_metadata"])
RESPONSES_OF_ENROLMENT = ERRORS_OF_CHANGES | {
    200: {"model": VesselDetail, "description": "the vessel has these chips already"}
}


def gallery_router(gallery: Gallery, enrolment: Enrolment) -> APIRouter:
    """Return the routes that register vessels, add chips, and show vessels."""
    router = strict_router("gallery", "/gallery")

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
        uploads = parse_uploads(chips, chip_metadata, MOST_CHIPS)
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
        limit: Limit = None,
        cursor: Cursor = None,
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

    @router.get("/types", responses=documented(503))
    def list_types() -> VesselTypes:
        """List the registered types of the vessels; of very many, the most common ones."""
        return VesselTypes(types=tuple(sorted(gallery.vessel_types(MOST_TYPES))))

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
        uploads = parse_uploads(chips, chip_metadata, MOST_CHIPS)
        enrolled = enrolment.add_chips(parse_id("vessel", vessel_id), uploads)
        response.status_code = 201 if enrolled.stored.added else 200
        return VesselDetail.of_enrolled(enrolled)

    return router
