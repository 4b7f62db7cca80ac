"""Pages in order of id, which stay stable while points are added and removed, and their cursors."""

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

from service.identity.errors import InvalidRequestError
from service.identity.records.vessels import VesselFilter, VesselPage
from service.storage.points import payloads
from service.storage.points.payloads import Payload

LAST_ID = (1 << 128) - 1
SCAN_BATCH = 256
"""Points read at a time while a part of a text is searched for."""

FetchPage = Callable[[UUID | None, int], Sequence[Payload]]
"""`(smallest id, limit)` -> payloads of the next points in order of id."""


Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class PageReader(Generic[Record]):
    """Collects pages of records, reading no more than each needs.

    Attributes:
        listing: what is listed, and the filter; the cursors of one listing are none of another.
        passes: filters payloads where no index does; all points are then read until the page is
            full. None when the points that `fetch` returns need no filter.
    """

    listing: str
    fetch: FetchPage
    read: Callable[[Payload], Record]
    id_of: Callable[[Record], UUID]
    passes: Callable[[Payload], bool] | None = None

    def page(self, limit: int, cursor: str | None) -> tuple[list[Record], str | None]:
        """Return the next `limit` records, and the cursor of the page that follows them.

        Raises:
            InvalidRequestError: the cursor does not come from an earlier page.
        """
        start = resume_at(self.listing, cursor)
        found: list[Record] = []
        batch = limit + 1 if self.passes is None else max(SCAN_BATCH, limit + 1)
        while True:
            rows = self.fetch(start, batch)
            for row in rows:
                if self.passes is None or self.passes(row):
                    if len(found) == limit:
                        return found, cursor_after(self.listing, self.id_of(found[-1]))
                    found.append(self.read(row))
            if len(rows) < batch:
                return found, None
            start = next_id(self.id_of(self.read(rows[-1])))


def vessel_page(
    fetch: FetchPage, where: VesselFilter, limit: int, cursor: str | None
) -> VesselPage:
    """Collect one page of vessels; see `PageReader`.

    Args:
        fetch: reads vessels that pass the filter, but for their name.
        where: the filter; of the name a part is enough, in any case.
        cursor: the `next_cursor` of an earlier page; None for the first page.
    """
    name = where.name
    passes = None if name is None else partial(has_part, key=payloads.NAME, part=name)
    listing = f"vessels {where!r}"
    reader = PageReader(listing, fetch, payloads.vessel_from, lambda vessel: vessel.id, passes)
    return VesselPage(*reader.page(limit, cursor))


def has_part(row: Payload, key: str, part: str) -> bool:
    """Return whether the text of a field has this part, in any case."""
    return part.casefold() in (row.get(key) or "").casefold()


def cursor_after(listing: str, point_id: UUID) -> str:
    """Return the cursor of the page that follows this point: its id, and a checksum."""
    cursor = point_id.bytes + _checksum(listing, point_id)
    return base64.urlsafe_b64encode(cursor).rstrip(b"=").decode()


def resume_at(listing: str, cursor: str | None) -> UUID | None:
    """Return the smallest id that a page may hold; None for the first page.

    Raises:
        InvalidRequestError: the cursor does not come from an earlier page of this listing.
    """
    if cursor is None:
        return None
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        last = UUID(bytes=decoded[:16])
        unchanged = decoded[16:] == _checksum(listing, last)
    except (binascii.Error, ValueError):
        unchanged = False
    if not unchanged:
        raise InvalidRequestError(
            f"{cursor[:80]!r} is no page cursor of this list; pass the next_cursor of its earlier "
            "page unchanged, with the same filters"
        )
    return next_id(last)


def _checksum(listing: str, point_id: UUID) -> bytes:
    """Return four bytes by which a cursor that was changed, or is of another list, is known."""
    return zlib.crc32(listing.encode() + point_id.bytes).to_bytes(4)


def next_id(point_id: UUID) -> UUID:
    """Return the next greater id."""
    return UUID(int=min(point_id.int + 1, LAST_ID))
