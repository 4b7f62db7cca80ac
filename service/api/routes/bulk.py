"""`POST /gallery/bulk`: enrol chips of many vessels in one request."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request
from fastapi.responses import StreamingResponse

from service.api.bulk_manifest import MOST_CHIPS, ManifestLine, parse_manifest
from service.api.errors import error_fields
from service.api.known_fields import multipart_form
from service.api.problems import UPLOAD_STATUSES, documented
from service.api.strict_requests import strict_router
from service.api.uploads import BinaryFile
from service.contract.errors import CrossfixError
from service.identity.bulk import BulkChip, BulkEnrolment, BulkOutcome
from service.observability.metrics import Telemetry

NDJSON = "application/x-ndjson"
MANIFEST_EXAMPLE = (
    '{"chip": "0001_RGB.tif", "vessel": {"name": "EXAMPLE STAR", "imo": "9074729"}, '
    '"modality": "optical", "gsd_m": 0.75}'
)
FEED_EXAMPLE = """\
{"line": 1, "chip": "0001_RGB.tif", "outcome": "enrolled", "created": true, "vessel_id": \
"5f0c1f0e-3c1a-4d0b-9a55-6f1b8f7c2d11", "sighting_id": "0e0d1c6a-6d0a-5f6b-8a3f-5a8d7f0f3a10", \
"warnings": []}
{"line": 2, "chip": "0002_RGB.tif", "outcome": "refused", "problem": {"type": \
"urn:crossfix:problem:chip-corrupt", "title": "Unprocessable Entity", "status": 422, "detail": \
"0002_RGB.tif: the file breaks off"}}
{"totals": {"enrolled": 1, "unchanged": 0, "refused": 1}}
"""
ENROLLED, UNCHANGED, REFUSED = "enrolled", "unchanged", "refused"
BULK_FORM = multipart_form("chips", ["manifest"])
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a line of JSON for each chip, as soon as it is stored, and one of totals",
        "content": {NDJSON: {"example": FEED_EXAMPLE}},
    },
    **documented(*UPLOAD_STATUSES, 415, 422, 429, 503),
}


class NdjsonResponse(StreamingResponse):
    """Lines of JSON that are sent one by one."""

    media_type = NDJSON


def bulk_router(bulk: BulkEnrolment, telemetry: Telemetry) -> APIRouter:
    """Return the route that enrols chips of many vessels."""
    router = strict_router("gallery", "/gallery")

    @router.post(
        "/bulk", response_class=NdjsonResponse, responses=RESPONSES, dependencies=[BULK_FORM]
    )
    def enrol_bulk(
        request: Request,
        manifest: Annotated[
            str,
            Form(
                description=(
                    "one line of JSON for each chip: chip, the name of its file; vessel, an object "
                    "as for POST /gallery, or vessel_id, the id of a registered vessel; and the "
                    "fields of chip_metadata"
                ),
                examples=[MANIFEST_EXAMPLE],
            ),
        ],
        chips: Annotated[
            list[BinaryFile],
            File(
                description=f"the files that the manifest names, at most {MOST_CHIPS}",
                json_schema_extra={"maxItems": MOST_CHIPS},
            ),
        ],
    ) -> NdjsonResponse:
        """Enrol chips of many vessels; a line of the response tells what became of each.

        `outcome` is `enrolled`, `unchanged` (the vessel has the chip already) or `refused`, with
        the `problem` of a single enrolment; `created` tells whether this request registered the
        vessel. A chip that is refused does not stop the others. Lines that describe a vessel in the
        same words are about one vessel: give it an `id` to send more of its chips later. The last
        line has the totals; if it is missing, send the request again: what was enrolled is
        unchanged.
        """
        lines = {line.number: line for line in parse_manifest(manifest, chips)}
        usable: list[BulkChip] = []
        refused: list[BulkOutcome] = []
        for line in lines.values():
            try:
                usable.append(line.chip())
            except CrossfixError as error:
                refused.append(BulkOutcome(line.number, problem=error))

        def feed() -> Iterator[dict[str, Any]]:
            totals = Counter({ENROLLED: 0, UNCHANGED: 0, REFUSED: 0})
            for one in chain(refused, bulk.enrol(usable)):
                document = _document(lines[one.number], one)
                if one.problem is not None:
                    document["problem"] = error_fields(one.problem, telemetry, request.url.path)
                totals[document["outcome"]] += 1
                yield document
            yield {"totals": dict(totals)}

        texts = (json.dumps(document, ensure_ascii=False) + "\n" for document in feed())
        return NdjsonResponse(texts, headers={"X-Accel-Buffering": "no"})  # not held by nginx

    return router


def _document(line: ManifestLine, outcome: BulkOutcome) -> dict[str, Any]:
    about: dict[str, Any] = {"line": line.number, "chip": line.name}
    if outcome.sighting is None:
        return about | {"outcome": REFUSED}
    return about | {
        "outcome": ENROLLED if outcome.added else UNCHANGED,
        "created": outcome.created,
        "vessel_id": str(outcome.sighting.vessel_id),
        "sighting_id": str(outcome.sighting.id),
        "warnings": list(outcome.warnings),
    }
