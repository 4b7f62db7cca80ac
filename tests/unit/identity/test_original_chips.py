"""Unused chips are deleted when a store is full or by a sweep; used chips stay."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.matching.match import MatchOptions
from service.identity.original_chips import delete_unused_chip
from service.identity.records.vessels import Vessel, VesselState
from service.maintenance.sweep import SweepResult, sweep
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import START
from tests.support.use_cases import UseCases, optical, sar

OLD = datetime.now(UTC) - timedelta(days=2)
BEFORE = datetime.now(UTC) - timedelta(days=1)


class FakeArchive:
    """The chips in use, as a sweep reads them; `late` ones are in use from the second call on."""

    def __init__(self, *digests: str) -> None:
        self.digests = set(digests)
        self.stored_vessels: list[Vessel] = []
        self.late: set[str] = set()
        self.calls = 0

    def chips_shown(self) -> set[str]:
        return set(self.digests)

    def vessels(self) -> list[Vessel]:
        return self.stored_vessels

    def uses_chip(self, digest: str) -> bool:
        self.calls += 1
        return digest in self.digests or (self.calls > 1 and digest in self.late)


@pytest.fixture
def chips() -> FakeChipStore:
    return FakeChipStore()


def put_old(chips: FakeChipStore, data: bytes) -> str:
    digest = chips.put(data)
    chips.stored_times[digest] = OLD
    return digest


def run_sweep(archive: FakeArchive, chips: FakeChipStore, remove: bool = True) -> SweepResult:
    return sweep(archive, chips, BEFORE, remove)  # type: ignore[arg-type]


def test_only_old_unused_chips_are_removed(chips: FakeChipStore) -> None:
    used, unused, recent = (
        put_old(chips, b"used"),
        put_old(chips, b"unused"),
        chips.put(b"just sent"),
    )
    archive = FakeArchive(used)
    assert run_sweep(archive, chips, remove=False) == SweepResult(3, 1, len(b"unused"), 0)
    assert unused in chips.data
    assert run_sweep(archive, chips) == SweepResult(3, 1, len(b"unused"), 1)
    assert chips.data.keys() == {used, recent}
    assert run_sweep(archive, chips) == SweepResult(2, 0, 0, 0)


def test_chips_of_a_change_under_way_are_left_to_recovery(chips: FakeChipStore) -> None:
    digest = put_old(chips, b"being enrolled")
    archive = FakeArchive()
    archive.stored_vessels = [
        Vessel(
            id=uuid4(),
            created_at=START,
            updated_at=START,
            state=VesselState.ENROLLING,
            leaving_chips=(digest,),
        )
    ]
    assert run_sweep(archive, chips).removed == 0
    assert digest in chips.data


def test_a_chip_that_is_sent_during_the_sweep_stays(chips: FakeChipStore) -> None:
    digest = put_old(chips, b"sent again")
    archive = FakeArchive()

    def send_again() -> set[str]:
        chips.put(b"sent again")
        return set()

    archive.chips_shown = send_again  # type: ignore[method-assign]
    assert run_sweep(archive, chips).removed == 0
    assert digest in chips.data


def test_a_chip_that_is_used_during_its_deletion_is_stored_again(chips: FakeChipStore) -> None:
    digest = chips.put(b"used late")
    archive = FakeArchive()
    archive.late = {digest}
    assert not delete_unused_chip(archive, chips, digest)
    assert chips.get(digest) == b"used late"


def test_a_damaged_chip_is_deleted_too(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = chips.put(b"damaged")

    def fail(_: str) -> bytes:
        raise StoreUnavailableError("the bytes have changed")

    monkeypatch.setattr(chips, "get", fail)
    assert delete_unused_chip(FakeArchive(), chips, digest)
    assert chips.data == {}


def fail_full(*_: object, **__: object) -> None:
    raise StoreFullError("no space")


def test_a_match_that_a_full_store_does_not_take_leaves_no_chip(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cases.matcher.match(sar(1), MatchOptions())
    before = dict(use_cases.chips.data)
    monkeypatch.setattr(use_cases.gallery, "put_sightings", fail_full)
    for chip in (sar(2), sar(1)):
        assert not use_cases.matcher.match(chip, MatchOptions()).match.stored
    assert use_cases.chips.data == before, "a chip that a sighting uses stays"


def test_adding_chips_to_a_full_store_leaves_no_chip(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    before = dict(use_cases.chips.data)
    monkeypatch.setattr(use_cases.gallery, "put_sightings", fail_full)
    with pytest.raises(StoreFullError):
        use_cases.enrolment.add_chips(vessel.id, [optical(2), optical(3)])
    assert use_cases.chips.data == before


def test_the_chip_stays_when_the_sighting_may_have_been_written(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(use_cases.gallery, "put_sightings", fail_unavailable)
    assert not use_cases.matcher.match(sar(4), MatchOptions()).match.stored
    assert len(use_cases.chips.data) == 1


def test_a_missing_chip_is_not_deleted(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_after_reading(digest: str) -> bytes:
        chips.put(b"sent just now")
        raise NotFoundError(f"no chip {digest}")

    digest = put_old(chips, b"sent just now")
    chips.delete(digest)
    monkeypatch.setattr(chips, "get", store_after_reading)
    assert delete_unused_chip(FakeArchive(), chips, digest)
    assert digest in chips.data


def test_sending_a_damaged_chip_again_repairs_it(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    (digest,) = use_cases.chips.data
    whole = use_cases.chips.data[digest]
    use_cases.chips.data[digest] = b"damaged"

    def check_bytes(digest: str) -> bytes:
        if use_cases.chips.data[digest] != whole:
            raise StoreUnavailableError("the bytes have changed")
        return whole

    monkeypatch.setattr(use_cases.chips, "get", check_bytes)
    assert len(use_cases.enrolment.add_chips(vessel.id, [optical(1)]).sightings) == 1
    assert use_cases.chips.data[digest] == whole
