"""Times in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator


def as_utc(time: datetime) -> datetime:
    """Convert a time to UTC; a time without an offset is assumed to be UTC.

    Raises:
        ValueError: the result lies outside the years 1 to 9999.
    """
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{time.isoformat()} is outside the years 1 to 9999 in UTC") from error


Clock = Callable[[], datetime]
"""Return the present time, UTC."""

UtcTime = Annotated[datetime, AfterValidator(as_utc)]
