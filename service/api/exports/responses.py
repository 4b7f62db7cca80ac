"""Responses that stream a list as CSV or GeoJSON, page by page."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from service.api.exports.csv_text import csv_lines
from service.api.exports.geojson import Json
from service.api.exports.negotiation import CSV, GEOJSON, JSON, choose_media
from service.api.exports.rows import Row
from service.api.problems import documented
from service.identity.records.base import PLAIN_NUMBER

DEFAULT_LIMIT = 50
EXPORT_PAGE = 500
MEDIA = (JSON, GEOJSON, CSV)

Limit = Annotated[
    int | None,
    PLAIN_NUMBER,
    Query(
        ge=1,
        le=500,
        description=f"length of the page; without it, JSON has pages of {DEFAULT_LIMIT}, and CSV "
        "and GeoJSON hold the whole list",
    ),
]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the previous page")]
REPRESENTATIONS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            CSV: {"schema": {"type": "string"}},
            GEOJSON: {"schema": {"type": "object", "description": "RFC 7946 FeatureCollection"}},
        }
    },
    **documented(406),
}


@dataclass(frozen=True, slots=True)
class ExportPage:
    """A part of a list: its CSV rows, its GeoJSON features, and the cursor of the next part."""

    rows: Sequence[Row]
    features: Sequence[Json]
    next_cursor: str | None


FetchExport = Callable[[int, str | None], ExportPage]
"""`(limit, cursor)` -> a part of the list."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A list that can be sent as CSV and GeoJSON.

    Attributes:
        name: of the file, without its suffix.
    """

    name: str
    columns: Sequence[str]
    fetch: FetchExport

    def response(
        self, request: Request, media: str, limit: int | None, cursor: str | None
    ) -> Response:
        """Return one page if `limit` is given, with a link to the next, else the whole list.

        The first part is read before the response begins, so that an error becomes a problem. A
        later error ends the connection before the body is complete.
        """
        first = self.fetch(limit or EXPORT_PAGE, cursor)
        pages = iter([first]) if limit else self._pages(first)
        suffix, write = ("csv", self._csv) if media == CSV else ("geojson", self._geojson)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{self.name}.{suffix}"',
            "Vary": "Accept",
        }
        if limit and first.next_cursor:
            headers["Link"] = next_link(request, first.next_cursor)
        kind = f"{CSV}; charset=utf-8; header=present" if media == CSV else GEOJSON
        return StreamingResponse(write(pages), media_type=kind, headers=headers)

    def _pages(self, first: ExportPage) -> Iterator[ExportPage]:
        page = first
        yield page
        while page.next_cursor is not None:
            page = self.fetch(EXPORT_PAGE, page.next_cursor)
            yield page

    def _csv(self, pages: Iterator[ExportPage]) -> Iterator[str]:
        yield csv_lines([self.columns])
        for page in pages:
            yield csv_lines([row[name] for name in self.columns] for row in page.rows)

    def _geojson(self, pages: Iterator[ExportPage]) -> Iterator[str]:
        yield '{"type":"FeatureCollection","features":['
        separator = ""
        for page in pages:
            for one in page.features:
                yield separator + json.dumps(one, ensure_ascii=False, separators=(",", ":"))
                separator = ",\n"
        yield "]}\n"


def wanted_media(request: Request, response: Response) -> str:
    """Return the representation that the client wants; raise NotAcceptableError for another."""
    response.headers["Vary"] = "Accept"
    return choose_media(",".join(request.headers.getlist("accept")) or None, MEDIA)


def next_link(request: Request, cursor: str) -> str:
    """Return the `Link` header that names the next page (RFC 8288), relative to this one."""
    query = {**request.query_params, "cursor": cursor}
    return f'<?{urlencode(query)}>; rel="next"'
