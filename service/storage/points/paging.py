"""Pages in order of id, stable while vessels come and go; cursors for any such pages."""

import base64
import binascii
from collections.abc import Callable, Sequence
from uuid import UUID

from service.identity.errors import InvalidRequestError
from service.identity.records.vessels import Vessel, VesselPage
from service.storage.points import payloads
from service.storage.points.filters import name_matches
from service.storage.points.payloads import Payload

LAST_ID = (1 << 128) - 1
SCAN = 256

FetchVessels = Callable[[UUID | None, int], Sequence[Payload]]
"""`(smallest id, limit)` -> payloads of the next vessels in order of id."""


def vessel_page(
    fetch: FetchVessels, name: str | None, limit: int, cursor: str | None
) -> VesselPage:
    """Collect one page, reading no more than it needs; a name is looked for by scanning on.

    Raises:
        InvalidRequestError: the cursor is not one that an earlier page returned.
    """
    start = resume_at(cursor)
    found: list[Vessel] = []
    batch = limit + 1 if name is None else max(SCAN, limit + 1)
    while True:
        rows = fetch(start, batch)
        for row in rows:
            if name_matches(row.get(payloads.NAME), name):
                if len(found) == limit:
                    return VesselPage(found, cursor_after(found[-1].id))
                found.append(payloads.vessel_from(row))
        if len(rows) < batch:
            return VesselPage(found, None)
        start = successor(payloads.vessel_from(rows[-1]).id)


def cursor_after(point_id: UUID) -> str:
    """What is passed for the page that follows this point."""
    return base64.urlsafe_b64encode(point_id.bytes).rstrip(b"=").decode()


def resume_at(cursor: str | None) -> UUID | None:
    """The smallest id that the page may hold; None begins with the first.

    Raises:
        InvalidRequestError: the cursor is not one that an earlier page returned.
    """
    if cursor is None:
        return None
    try:
        last = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(
            f"{cursor!r} is not a page cursor; pass the next_cursor of an earlier page unchanged"
        ) from error
    return successor(last)


def successor(point_id: UUID) -> UUID:
    """The next greater id."""
    return UUID(int=min(point_id.int + 1, LAST_ID))
