"""Pages in order of id, which stay stable while points are added and removed, and their cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from uuid import UUID

from service.identity.errors import InvalidRequestError
from service.identity.records.vessels import Vessel, VesselPage
from service.storage.points import payloads
from service.storage.points.payloads import Payload

LAST_ID = (1 << 128) - 1
SCAN_BATCH = 256
"""Vessels read at a time while a name is searched for."""

FetchPage = Callable[[UUID | None, int], Sequence[Payload]]
"""`(smallest id, limit)` -> payloads of the next points in order of id."""


def vessel_page(fetch: FetchPage, name: str | None, limit: int, cursor: str | None) -> VesselPage:
    """Collect one page of vessels, reading no more than it needs.

    Args:
        fetch: reads vessels.
        name: a part of the name, in any case; None for any vessel. Names have no index: all
            vessels are read until the page is full.
        limit: the length of the page.
        cursor: the `next_cursor` of an earlier page; None for the first page.

    Raises:
        InvalidRequestError: the cursor does not come from an earlier page.
    """
    start = resume_at(cursor)
    found: list[Vessel] = []
    batch = limit + 1 if name is None else max(SCAN_BATCH, limit + 1)
    while True:
        rows = fetch(start, batch)
        for row in rows:
            if _name_matches(row.get(payloads.NAME), name):
                if len(found) == limit:
                    return VesselPage(found, cursor_after(found[-1].id))
                found.append(payloads.vessel_from(row))
        if len(rows) < batch:
            return VesselPage(found, None)
        start = next_id(payloads.vessel_from(rows[-1]).id)


def cursor_after(point_id: UUID) -> str:
    """Return the cursor of the page that follows this point."""
    return base64.urlsafe_b64encode(point_id.bytes).rstrip(b"=").decode()


def resume_at(cursor: str | None) -> UUID | None:
    """Return the smallest id that a page may hold; None for the first page.

    Raises:
        InvalidRequestError: the cursor does not come from an earlier page.
    """
    if cursor is None:
        return None
    try:
        last = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(
            f"{cursor!r} is not a page cursor; pass the next_cursor of an earlier page unchanged"
        ) from error
    return next_id(last)


def next_id(point_id: UUID) -> UUID:
    """Return the next greater id."""
    return UUID(int=min(point_id.int + 1, LAST_ID))


def _name_matches(name: str | None, part: str | None) -> bool:
    return part is None or (name is not None and part.casefold() in name.casefold())
