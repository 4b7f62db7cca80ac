"""Cursors of pages: the filter of the list, and the last id of the page."""

from uuid import UUID

from service.identity.errors import InvalidRequestError
from service.identity.records.base import Record


def cursor_after(last: UUID, where: Record) -> str:
    """Return the cursor of the page that follows a record."""
    return f"{where!r}/{last}"


def parse_cursor(cursor: str, where: Record) -> UUID:
    """Return the last id of the page before, or raise InvalidRequestError."""
    listing, _, last = cursor.rpartition("/")
    try:
        if listing == repr(where):
            return UUID(last)
    except ValueError:
        pass
    raise InvalidRequestError(f"{cursor!r} is not a page cursor")
