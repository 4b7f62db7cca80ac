"""`/matches/{id}/report`: the evidence of one match as a page to print."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from service.api.problems import documented
from service.api.report.figures import ChipFigure
from service.api.report.page import (
    POLICY,
    SHOWN_CANDIDATES,
    candidate_caption,
    numbered_queries,
    report_page,
)
from service.api.strict_requests import strict_router
from service.api.uploads import Id, parse_id
from service.contract.errors import ChipError
from service.contract.utc_time import Clock
from service.identity.errors import NotFoundError
from service.identity.pictures import Pictures, View
from service.identity.records.sightings import Sighting
from service.identity.review import MatchReview

HTML: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}}
}


def report_router(review: MatchReview, pictures: Pictures, now: Clock) -> APIRouter:
    """Return the route of the evidence report."""
    router = strict_router("history", "/matches")
    made_by = version("crossfix")

    @router.get(
        "/{match_id}/report",
        response_class=Response,
        responses={**HTML, **documented(404, 422, 503)},
    )
    def show_report(match_id: Id) -> Response:
        """Show the evidence of a match on one page for print, without scripts.

        Holds the chips at one metre scale, probabilities, evidence, checks, judgements, versions,
        digests and the place in the audit log.
        """
        record = review.show(parse_id("match", match_id)).record
        candidates = record.match.candidates[:SHOWN_CANDIDATES]
        figures = [
            *(
                _figure(pictures, one, f"{name}, {one.modality.value}")
                for name, one in numbered_queries(record.match)
            ),
            *(_figure(pictures, one.sighting, candidate_caption(one)) for one in candidates),
        ]
        page = report_page(record, figures, made_by, now())
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return HTMLResponse(page, headers=headers)

    return router


def _figure(pictures: Pictures, sighting: Sighting, caption: str) -> ChipFigure:
    """Return the chip of a sighting, without its picture if it was deleted since."""
    try:
        picture = pictures.preview(sighting.id, View.DENOISED)
    except (NotFoundError, ChipError):
        picture = None
    return ChipFigure(caption, picture, sighting.gsd_m)
