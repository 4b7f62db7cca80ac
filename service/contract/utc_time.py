"""Times: in UTC inside, and as clients state them in ISO 8601."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

MAX_CLIENT_SKEW = timedelta(minutes=5)
"""How far the clock of a client may be ahead of the service's."""

EXPECTED_TIME = "expected a time in ISO 8601, e.g. 2026-03-05T17:20:00Z, or a day, 2026-03-05"
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OFFSET = r"[+-]((0[0-9]|1[0-3])(:?[0-5][0-9])?|14(:?00)?)"
"""No place on Earth is more than 14 hours ahead of UTC."""
ISO_TIME = re.compile(
    rf"{ISO_DAY.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]+)?)?( ?(Z|{_OFFSET}))?",
    re.IGNORECASE,
)
FIRST_PICTURES = datetime(1960, 1, 1, tzinfo=UTC)
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""What programs write where they know no time: 0 seconds since 1970."""


def as_utc(moment: datetime) -> datetime:
    """Convert a time to UTC; a time without an offset is assumed to be UTC.

    Raises:
        ValueError: the result lies outside the years 1 to 9999.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment.isoformat()} is outside the years 1 to 9999 in UTC") from error


Clock = Callable[[], datetime]
"""Return the present time, UTC."""


def utc_now() -> datetime:
    """Return the present time by the clock of this machine, UTC: a `Clock`."""
    return datetime.now(UTC)


UtcTime = Annotated[datetime, AfterValidator(as_utc)]


def parse_iso(value: object) -> date:
    """Return a datetime, or a date for text without a time of day; such values pass unchanged.

    Raises:
        ValueError: not text in the extended format of ISO 8601. Numbers are refused, because they
            could be days, years or seconds since 1970.
    """
    if isinstance(value, date):
        return value
    text = value.strip() if isinstance(value, str) else ""
    try:
        if ISO_DAY.fullmatch(text):
            return date.fromisoformat(text)
        if ISO_TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper().replace(" Z", "Z").replace(",", "."))
    except ValueError as error:
        raise ValueError(f"{EXPECTED_TIME}; {text[:40]!r} is none: {error}") from error
    raise ValueError(f"{EXPECTED_TIME}; got {str(value)[:40]!r}{_meant(str(value))}")


def _meant(text: str) -> str:
    """Return what a refused text is likely to mean, for messages."""
    if re.search(r"T[0-9:.]+ [0-9]{2}:?[0-9]{2}$", text):
        return ", which has lost the + of its offset: write it as %2B in an address"
    try:
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return ""
    return f", which may mean {day.isoformat()}" if re.fullmatch("[0-9]{8}", text) else ""


def time_span(stated: date) -> tuple[datetime, datetime]:
    """Return the first and the last moment that are meant, UTC: the whole day for a date.

    Raises:
        ValueError: outside the years 1 to 9999.
    """
    if isinstance(stated, datetime):
        return (moment := as_utc(stated)), moment
    return datetime.combine(stated, time.min, UTC), datetime.combine(stated, time.max, UTC)


def time_warnings(name: str, stated: date | None) -> tuple[str, ...]:
    """Return a warning if a stated time leaves open which moment is meant."""
    if stated is None or (isinstance(stated, datetime) and stated.tzinfo is not None):
        return ()
    if isinstance(stated, datetime):
        return (f"{name} has no time zone: it is taken as UTC; add Z or an offset such as +08:00",)
    return (f"{name} has no time of day: it is taken as the whole day {stated.isoformat()}, UTC",)


def require_past(stated: date) -> date:
    """Return the time; raise ValueError if it lies further ahead than clocks differ."""
    now = utc_now()
    if time_span(stated)[0] > now + MAX_CLIENT_SKEW:
        raise ValueError(
            f"{stated.isoformat()} lies in the future; it is {now:%Y-%m-%dT%H:%M:%SZ} now"
        )
    return stated


def _first_moment(value: object) -> datetime:
    return time_span(parse_iso(value))[0]


def require_time_of_picture(stated: date) -> date:
    """Return the time unchanged.

    Raises:
        ValueError: it lies in the future, before the first pictures from space, or is the time
            that means "unknown".
    """
    require_past(stated)
    if time_span(stated)[0] == NO_TIME:
        raise ValueError(
            f"{stated.isoformat()} is what programs write where the time is unknown; leave it out"
        )
    if time_span(stated)[1] < FIRST_PICTURES:
        raise ValueError(f"{stated.isoformat()} lies before the first pictures from space, of 1960")
    return stated


StatedTime = Annotated[
    datetime | date, BeforeValidator(parse_iso), AfterValidator(require_time_of_picture)
]
"""When a picture was taken, as a client states it: a moment of the past or a day."""

BoundTime = Annotated[datetime, BeforeValidator(_first_moment)]
"""An end of a range of time, UTC; a day means its first moment."""

PastTime = Annotated[BoundTime, AfterValidator(require_past)]
"""A moment of the past, UTC; a day means its first moment."""
