"""Originals that nothing shows: forgotten when a store is full, swept later, never by mistake."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.match import MatchOptions
from service.identity.original_chips import delete_unused_chip
from service.identity.records.vessels import Vessel, VesselState
from service.maintenance.sweep import SweepResult, sweep
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import START
from tests.support.use_cases import UseCases, optical, sar

OLD = datetime.now(UTC) - timedelta(days=2)
BEFORE = datetime.now(UTC) - timedelta(days=1)


class Shown:
    """What a sweep asks of an archive; `late` ones are shown from the second look on."""

    def __init__(self, *digests: str) -> None:
        self.digests = set(digests)
        self.leaving: list[Vessel] = []
        self.late: set[str] = set()
        self.asked = 0

    def chips_shown(self) -> set[str]:
        return set(self.digests)

    def vessels(self) -> list[Vessel]:
        return self.leaving

    def uses_chip(self, digest: str) -> bool:
        self.asked += 1
        return digest in self.digests or (self.asked > 1 and digest in self.late)


@pytest.fixture
def chips() -> FakeChipStore:
    return FakeChipStore()


def old(chips: FakeChipStore, data: bytes) -> str:
    digest = chips.put(data)
    chips.times[digest] = OLD
    return digest


def swept(archive: Shown, chips: FakeChipStore, remove: bool = True) -> SweepResult:
    return sweep(archive, chips, BEFORE, remove)  # type: ignore[arg-type]


def test_old_chips_that_nothing_shows_are_removed_and_no_others(chips: FakeChipStore) -> None:
    shown, gone, fresh = old(chips, b"shown"), old(chips, b"unused"), chips.put(b"just sent")
    archive = Shown(shown)
    assert swept(archive, chips, remove=False) == SweepResult(3, 1, len(b"unused"), 0)
    assert gone in chips.kept
    assert swept(archive, chips) == SweepResult(3, 1, len(b"unused"), 1)
    assert chips.kept.keys() == {shown, fresh}
    assert swept(archive, chips) == SweepResult(2, 0, 0, 0)


def test_chips_of_a_change_under_way_are_left_to_recovery(chips: FakeChipStore) -> None:
    digest = old(chips, b"being enrolled")
    archive = Shown()
    archive.leaving = [
        Vessel(
            id=uuid4(),
            created_at=START,
            updated_at=START,
            state=VesselState.ENROLLING,
            leaving_chips=(digest,),
        )
    ]
    assert swept(archive, chips).removed == 0
    assert digest in chips.kept


def test_a_chip_that_is_sent_during_the_sweep_stays(chips: FakeChipStore) -> None:
    digest = old(chips, b"sent again")
    archive = Shown()

    def send_again() -> set[str]:
        chips.put(b"sent again")
        return set()

    archive.chips_shown = send_again  # type: ignore[method-assign]
    assert swept(archive, chips).removed == 0
    assert digest in chips.kept


def test_a_chip_that_is_shown_at_the_last_moment_is_put_back(chips: FakeChipStore) -> None:
    digest = chips.put(b"shown late")
    archive = Shown()
    archive.late = {digest}
    assert not delete_unused_chip(archive, chips, digest)
    assert chips.get(digest) == b"shown late"


def test_an_unreadable_chip_is_forgotten_too(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = chips.put(b"damaged")

    def damaged(_: str) -> bytes:
        raise StoreUnavailableError("the bytes have changed")

    monkeypatch.setattr(chips, "get", damaged)
    assert delete_unused_chip(Shown(), chips, digest)
    assert chips.kept == {}


def refuse(*_: object, **__: object) -> None:
    raise StoreFullError("no room")


def test_a_match_for_which_there_is_no_room_leaves_no_chip(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cases.matcher.match(sar(1), MatchOptions())
    kept = dict(use_cases.chips.kept)
    monkeypatch.setattr(use_cases.gallery, "put_sightings", refuse)
    for chip in (sar(2), sar(1)):
        with pytest.raises(StoreFullError):
            use_cases.matcher.match(chip, MatchOptions())
    assert use_cases.chips.kept == kept, "what a sighting shows stays"


def test_chips_for_which_there_is_no_room_are_not_added(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    kept = dict(use_cases.chips.kept)
    monkeypatch.setattr(use_cases.gallery, "put_sightings", refuse)
    with pytest.raises(StoreFullError):
        use_cases.enrolment.add_chips(vessel.id, [optical(2), optical(3)])
    assert use_cases.chips.kept == kept


def test_a_failure_that_may_have_written_the_sighting_leaves_the_chip(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(use_cases.gallery, "put_sightings", away)
    with pytest.raises(StoreUnavailableError):
        use_cases.matcher.match(sar(4), MatchOptions())
    assert len(use_cases.chips.kept) == 1


def test_what_is_not_there_is_not_deleted(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_right_then(digest: str) -> bytes:
        chips.put(b"sent just now")
        raise NotFoundError(f"no chip {digest}")

    digest = old(chips, b"sent just now")
    chips.delete(digest)
    monkeypatch.setattr(chips, "get", put_right_then)
    assert delete_unused_chip(Shown(), chips, digest)
    assert digest in chips.kept


def test_a_damaged_chip_is_healed_when_it_is_sent_again(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = use_cases.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    (digest,) = use_cases.chips.kept
    whole = use_cases.chips.kept[digest]
    use_cases.chips.kept[digest] = b"damaged"

    def as_a_store(digest: str) -> bytes:
        if use_cases.chips.kept[digest] != whole:
            raise StoreUnavailableError("the bytes have changed")
        return whole

    monkeypatch.setattr(use_cases.chips, "get", as_a_store)
    assert len(use_cases.enrolment.add_chips(vessel.id, [optical(1)]).sightings) == 1
    assert use_cases.chips.kept[digest] == whole
