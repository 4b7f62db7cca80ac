"""Times that clients state: strictly ISO 8601, of the past, with what they leave open."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from service.contract.utc_time import BoundTime, PastTime, StatedTime, time_span, time_warnings

STATED, BOUND, PAST = TypeAdapter(StatedTime), TypeAdapter(BoundTime), TypeAdapter(PastTime)
TIME = datetime(2026, 3, 5, 17, 20, tzinfo=UTC)
NO_TIMES = [
    "20260305",
    "2026",
    "0",
    "1772000000",
    "1772000000.5",
    "2026-3-5",
    "yesterday",
    "",
    "nan",
]
NO_TIMES += ["2026-02-30", "2026-03-05T25:00:00Z", "2026-W10-4", "2026-064", "٢٠٢٦-٠٣-٠٥"]


@pytest.mark.parametrize("value", [*NO_TIMES, 20260305, 0, 1.5, True, ["2026-03-05"], {}])
@pytest.mark.parametrize("kind", [STATED, BOUND, PAST])
def test_what_is_no_iso_text_is_no_time(kind: TypeAdapter[object], value: object) -> None:
    with pytest.raises(ValidationError, match="2026-03-05T17:20:00Z"):
        kind.validate_python(value)


def test_eight_digits_are_refused_with_the_day_that_they_may_mean() -> None:
    with pytest.raises(ValidationError, match="may mean 2025-11-30"):
        STATED.validate_python("20251130")


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-05T17:20:00Z",
        "2026-03-05t17:20:00.000z",
        "2026-03-05 17:20Z",
        "2026-03-05T18:20:00,0+01:00",
        " 2026-03-05T12:20-0500 ",
    ],
)
def test_iso_texts_with_a_zone_are_moments_without_warnings(text: str) -> None:
    stated = STATED.validate_python(text)
    assert time_span(stated) == (TIME, TIME)
    assert time_warnings("captured_at", stated) == ()
    assert BOUND.validate_python(text) == PAST.validate_python(text) == TIME


def test_a_time_without_a_zone_is_utc_and_warns() -> None:
    stated = STATED.validate_python("2026-03-05T17:20:00")
    assert time_span(stated) == (TIME, TIME)
    assert "captured_at has no time zone" in time_warnings("captured_at", stated)[0]


def test_a_day_is_kept_as_a_day_and_warns() -> None:
    stated = STATED.validate_python("2026-03-05")
    assert stated == date(2026, 3, 5)
    first, last = time_span(stated)
    assert first == datetime(2026, 3, 5, tzinfo=UTC)
    assert first + timedelta(days=1) - last == timedelta(microseconds=1)
    assert "whole day 2026-03-05" in time_warnings("captured_at", stated)[0]
    assert BOUND.validate_python("2026-03-05") == first


def test_the_future_is_refused_but_for_the_skew_of_clocks() -> None:
    now = datetime.now(UTC)
    near, far = now + timedelta(minutes=2), now + timedelta(minutes=20)
    for kind in (STATED, PAST):
        assert kind.validate_python(near.isoformat()) == near
        with pytest.raises(ValidationError, match="lies in the future"):
            kind.validate_python(far.isoformat())
        with pytest.raises(ValidationError, match="lies in the future"):
            kind.validate_python((now + timedelta(days=2)).date().isoformat())
    assert BOUND.validate_python(far.isoformat()) == far


@pytest.mark.parametrize(
    "text", ["1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", "1970-01-01"]
)
def test_the_time_that_programs_write_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="where the time is unknown"):
        STATED.validate_python(text)
    assert PAST.validate_python(text) == datetime(1970, 1, 1, tzinfo=UTC)


def test_no_picture_was_taken_before_there_were_satellites() -> None:
    for text in ("0001-01-01", "1900-01-01T00:00:00Z", "1959-12-31"):
        with pytest.raises(ValidationError, match="first pictures from space"):
            STATED.validate_python(text)
    assert STATED.validate_python("1960-08-18") == date(1960, 8, 18)
    assert PAST.validate_python("1950-01-01") == datetime(1950, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("offset", ["+24:00", "+15:00", "+14:01", "-18", "+08:60"])
def test_no_place_has_such_an_offset(offset: str) -> None:
    with pytest.raises(ValidationError, match="expected a time in ISO 8601"):
        STATED.validate_python(f"2026-03-05T17:20:00{offset}")
    stated = STATED.validate_python("2026-03-06T07:20:00+14:00")
    assert time_span(stated) == (TIME, TIME)


def test_an_offset_that_lost_its_plus_in_an_address_is_explained() -> None:
    with pytest.raises(ValidationError, match="write it as %2B"):
        BOUND.validate_python("2026-03-05T17:20:00 08:00")


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    assert time_span(date.max)[1] == datetime.max.replace(tzinfo=UTC)


def test_times_outside_the_calendar_are_refused() -> None:
    for text in ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"):
        for kind in (STATED, BOUND, PAST):
            with pytest.raises(ValidationError, match="outside the years"):
                kind.validate_python(text)
