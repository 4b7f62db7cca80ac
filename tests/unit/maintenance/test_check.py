"""The check beside a service stops when told, and keeps what it knew."""

from collections.abc import Iterator
from uuid import uuid4

from service.identity.records.checks import RecordCheck
from service.maintenance.check import RecordHealth
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore

DAMAGED = RecordCheck("vessel", uuid4(), "flipped")


class DamagedGallery(FakeGallery):
    def check_records(self) -> Iterator[list[RecordCheck]]:
        yield [DAMAGED]
        yield []


def test_a_check_that_is_stopped_changes_nothing() -> None:
    health, gallery, matches = RecordHealth(), DamagedGallery("b", 4), FakeMatchStore()
    assert not health.check(gallery, matches, lambda _: True)
    assert len(health.damaged) == 0
    assert health.check(gallery, matches, lambda _: False)
    assert list(health.damaged) == [DAMAGED]
    assert health.check(FakeGallery("b", 4), matches, lambda _: False)
    assert len(health.damaged) == 0
