"""Originals that nothing shows: forgotten when a store is full, swept later, never by mistake."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import NotFoundError, StoreFullError, StoreUnavailableError
from service.identity.match import MatchOptions
from service.identity.originals import forget_unused
from service.identity.records.vessels import Vessel, VesselState
from service.maintenance.sweep import Swept, sweep
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import START
from tests.support.use_cases import House, optical, sar

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


def swept(archive: Shown, chips: FakeChipStore, remove: bool = True) -> Swept:
    return sweep(archive, chips, BEFORE, remove)  # type: ignore[arg-type]


def test_old_chips_that_nothing_shows_are_removed_and_no_others(chips: FakeChipStore) -> None:
    shown, gone, fresh = old(chips, b"shown"), old(chips, b"unused"), chips.put(b"just sent")
    archive = Shown(shown)
    assert swept(archive, chips, remove=False) == Swept(3, 1, len(b"unused"), 0)
    assert gone in chips.kept
    assert swept(archive, chips) == Swept(3, 1, len(b"unused"), 1)
    assert chips.kept.keys() == {shown, fresh}
    assert swept(archive, chips) == Swept(2, 0, 0, 0)


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
    assert not forget_unused(archive, chips, digest)
    assert chips.get(digest) == b"shown late"


def test_an_unreadable_chip_is_forgotten_too(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = chips.put(b"damaged")

    def damaged(_: str) -> bytes:
        raise StoreUnavailableError("the bytes have changed")

    monkeypatch.setattr(chips, "get", damaged)
    assert forget_unused(Shown(), chips, digest)
    assert chips.kept == {}


def refuse(*_: object, **__: object) -> None:
    raise StoreFullError("no room")


def test_a_match_for_which_there_is_no_room_leaves_no_chip(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.matcher.match(sar(1), MatchOptions())
    kept = dict(house.chips.kept)
    monkeypatch.setattr(house.gallery, "put_sightings", refuse)
    for chip in (sar(2), sar(1)):
        with pytest.raises(StoreFullError):
            house.matcher.match(chip, MatchOptions())
    assert house.chips.kept == kept, "what a sighting shows stays"


def test_chips_for_which_there_is_no_room_are_not_added(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = house.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    kept = dict(house.chips.kept)
    monkeypatch.setattr(house.gallery, "put_sightings", refuse)
    with pytest.raises(StoreFullError):
        house.enrolment.add_chips(vessel.id, [optical(2), optical(3)])
    assert house.chips.kept == kept


def test_a_failure_that_may_have_written_the_sighting_leaves_the_chip(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(house.gallery, "put_sightings", away)
    with pytest.raises(StoreUnavailableError):
        house.matcher.match(sar(4), MatchOptions())
    assert len(house.chips.kept) == 1


def test_what_is_not_there_is_not_deleted(
    chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_right_then(digest: str) -> bytes:
        chips.put(b"sent just now")
        raise NotFoundError(f"no chip {digest}")

    digest = old(chips, b"sent just now")
    chips.delete(digest)
    monkeypatch.setattr(chips, "get", put_right_then)
    assert forget_unused(Shown(), chips, digest)
    assert digest in chips.kept


def test_a_damaged_chip_is_healed_when_it_is_sent_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel = house.enrolment.enrol(NewVessel(name="A"), [optical(1)]).vessel
    (digest,) = house.chips.kept
    whole = house.chips.kept[digest]
    house.chips.kept[digest] = b"damaged"

    def as_a_store(digest: str) -> bytes:
        if house.chips.kept[digest] != whole:
            raise StoreUnavailableError("the bytes have changed")
        return whole

    monkeypatch.setattr(house.chips, "get", as_a_store)
    assert len(house.enrolment.add_chips(vessel.id, [optical(1)]).sightings) == 1
    assert house.chips.kept[digest] == whole
