"""`/sightings/{id}/…`: the original chip file, its preview and its pseudo-SAR pictures."""

import hashlib
import secrets
from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from PIL import Image

from service.api.fixed_content import REVALIDATED
from service.api.problems import documented
from service.api.strict_requests import strict_router
from service.api.uploads import Id, parse_id
from service.identity.pictures import Pictures, View

Responses = dict[int | str, dict[str, Any]]

BINARY = {"schema": {"type": "string", "format": "binary"}}
PNG: Responses = {200: {"content": {"image/png": BINARY}}}
BYTES: Responses = {200: {"content": {"application/octet-stream": BINARY}}}
UNCHANGED: Responses = {304: {"description": "the client has it: If-None-Match names it"}}
GAP_PX = 2
SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def sightings_router(pictures: Pictures) -> APIRouter:
    """Return the routes that show the chip of a sighting."""
    router = strict_router("sightings", "/sightings")
    # Pictures depend on the code, too: browsers ask for them again after each start.
    start = secrets.token_hex(4)

    def picture(
        request: Request, sighting_id: UUID, kind: str, draw: Callable[[], NDArray[np.uint8]]
    ) -> Response:
        """Answer with a PNG; 304 if the browser has the picture, which is then not drawn."""
        shown = pictures.sighting(sighting_id)
        drawn_from = (shown.chip_sha256, shown.modality, shown.gsd_m, shown.band, shown.framing)
        digest = hashlib.sha256(f"{start} {kind} {shown.bundle_id} {drawn_from}".encode())
        headers = {"ETag": f'"{digest.hexdigest()[:32]}"', "Cache-Control": REVALIDATED}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(_png(draw()), media_type="image/png", headers=headers)

    @router.get(
        "/{sighting_id}/chip",
        response_class=Response,
        responses={**BYTES, **UNCHANGED, **documented(404, 422, 503)},
    )
    def download_chip(sighting_id: Id, request: Request) -> Response:
        """Return the chip file as it was uploaded."""
        sighting, data = pictures.original(parse_id("sighting", sighting_id))
        etag = {"ETag": f'"{sighting.chip_sha256}"'}
        if etag["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=etag)
        media = media_type(data)
        suffix = media.removeprefix("image/")
        return Response(
            data,
            media_type=media,
            headers=etag
            | {"Content-Disposition": f'attachment; filename="{sighting.id}.{suffix}"'},
        )

    @router.get(
        "/{sighting_id}/preview.png",
        response_class=Response,
        responses={**PNG, **UNCHANGED, **documented(404, 422, 503)},
    )
    def show_preview(
        request: Request,
        sighting_id: Id,
        view: Annotated[
            View,
            Query(
                description="`original`: as it was sent, with the outline of the ship; `framed`: "
                "upright and tight; `denoised`: as the models see it"
            ),
        ] = View.DENOISED,
    ) -> Response:
        """Show the chip: as it was sent, framed, or as the models see it."""
        known = parse_id("sighting", sighting_id)
        return picture(request, known, view, lambda: pictures.preview(known, view))

    @router.get(
        "/{sighting_id}/pseudo-sar.png",
        response_class=Response,
        responses={**PNG, **UNCHANGED, **documented(404, 422, 429, 503)},
    )
    def show_pseudo_sar(request: Request, sighting_id: Id) -> Response:
        """Show the pseudo-SAR pictures of an optical chip side by side; simulated, not measured."""
        known = parse_id("sighting", sighting_id)
        return picture(
            request, known, "pseudo-sar", lambda: side_by_side(pictures.pseudo_sar(known))
        )

    return router


def media_type(data: bytes) -> str:
    """Return the media type of a chip file by its signature; TIFF unless PNG or JPEG."""
    return next((m for sign, m in SIGNATURES.items() if data.startswith(sign)), "image/tiff")


def side_by_side(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Join pictures uint8 `[K, h, w]` to one uint8 `[h, K * w + gaps]` with white gaps of 2 px."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (0, GAP_PX)), constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-GAP_PX]


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
