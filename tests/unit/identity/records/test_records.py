import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from service.contract.utc_time import UtcTime
from service.identity.records.vessels import Vessel, VesselAttributes

UTC_TIME = TypeAdapter(UtcTime)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "time", [NOON, NOON.replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=8)))]
)
def test_times_are_utc(time: datetime) -> None:
    read = UTC_TIME.validate_python(time)
    assert read == NOON
    assert read.tzinfo is UTC


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_outside_the_calendar_in_utc_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError, match="outside the years 1 to 9999"):
        UTC_TIME.validate_python(text)


def test_a_stored_vessel_stays_readable_under_stricter_rules() -> None:
    old = Vessel.model_construct(
        id=uuid.uuid4(), imo="1234567", mmsi="000", name="Test", created_at=NOON, updated_at=NOON
    )
    read = Vessel.from_record(old.model_dump_json())
    assert read == old
    assert read.attributes().imo == "1234567"
    with pytest.raises(ValidationError, match="placeholder"):
        VesselAttributes(imo="1234567")
