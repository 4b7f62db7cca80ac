"""Leases let one change at a time work on an IMO number, a vessel or a sighting."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.errors import ConflictError, StoreUnavailableError
from service.identity.leases import Leases, lease_lifetime
from service.identity.records.claims import NameClaim
from service.identity.records.vessels import VesselState
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.embedder import WIDTH
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.records import make_vessel

IMO = "9074729"
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
STEP = timedelta(minutes=1)


@pytest.fixture
def gallery() -> FakeGallery:
    return FakeGallery("fake-bundle", WIDTH)


@pytest.fixture
def store() -> MemoryClaimStore:
    return MemoryClaimStore()


@pytest.fixture
def leases(gallery: FakeGallery, store: MemoryClaimStore) -> Leases:
    return Leases(gallery, store, lambda: NOON, STEP)


def test_one_of_two_requests_gets_the_imo_number_until_it_ends(leases: Leases) -> None:
    first, second = make_vessel(imo=IMO), make_vessel(imo=IMO)
    with (
        leases.for_imo_change(first),
        pytest.raises(ConflictError, match="being registered right now") as rejected,
        leases.for_imo_change(second),
    ):
        pytest.fail("both hold the number")
    assert rejected.value.vessel_id == first.id
    with leases.for_imo_change(second):
        pass


def test_the_imo_number_of_a_visible_vessel_is_not_leased(
    gallery: FakeGallery, leases: Leases
) -> None:
    known, new = make_vessel(imo=IMO, name="KNOWN"), make_vessel(imo=IMO)
    gallery.put_vessel(known)
    with (
        pytest.raises(ConflictError, match=r"registered already.*KNOWN"),
        leases.for_imo_change(new),
    ):
        pytest.fail("the number is taken")
    with leases.for_imo_change(new, giver=known):
        pass
    gallery.put_vessel(known.model_copy(update={"state": VesselState.MERGED}))
    with leases.for_imo_change(new):
        pass


def test_two_requests_for_the_same_vessel_do_not_block_each_other(leases: Leases) -> None:
    vessel = make_vessel(imo=IMO)
    with leases.for_imo_change(vessel), leases.for_imo_change(vessel):
        pass


def test_the_lease_of_a_killed_holder_lapses(gallery: FakeGallery, store: MemoryClaimStore) -> None:
    of_killed = NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    store.claim(f"IMO {IMO}", of_killed, None)
    soon = Leases(gallery, store, lambda: NOON + lease_lifetime(STEP), STEP)
    with pytest.raises(ConflictError), soon.for_imo_change(make_vessel(imo=IMO)):
        pytest.fail("the holder may still be running")
    later = Leases(gallery, store, lambda: NOON + lease_lifetime(STEP) + timedelta(seconds=1), STEP)
    with later.for_imo_change(make_vessel(imo=IMO)):
        pass


def test_no_lease_is_taken_without_a_new_imo_number(
    store: MemoryClaimStore, leases: Leases
) -> None:
    holder = NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    store.claim(f"IMO {IMO}", holder, None)
    with leases.for_imo_change(make_vessel()):
        pass
    vessel = make_vessel(imo=IMO)
    with leases.for_imo_change(vessel, before=vessel):
        pass


class ManualClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, steps: float) -> None:
        self.time += steps * STEP


def test_a_renewed_lease_does_not_lapse(gallery: FakeGallery, store: MemoryClaimStore) -> None:
    clock, vessel = ManualClock(), make_vessel(imo=IMO)
    leases = Leases(gallery, store, clock, STEP)
    with leases.for_registration(vessel, resumes=False) as lease:
        for _ in range(20):
            clock.advance(0.9)
            lease.renew()
        with pytest.raises(ConflictError), leases.for_imo_change(make_vessel(imo=IMO)):
            pytest.fail("the number is held")
        with pytest.raises(ConflictError), leases.for_recovery(vessel):
            pytest.fail("the vessel is held")
        lease.confirm()
    with leases.for_recovery(vessel), leases.for_imo_change(make_vessel(imo=IMO)):
        pass


def test_a_holder_stops_when_its_lease_may_have_lapsed(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    clock = ManualClock()
    leases = Leases(gallery, store, clock, STEP)
    with leases.for_registration(make_vessel(), resumes=False) as lease:
        clock.advance(1.1)
        with pytest.raises(StoreUnavailableError, match="too slow"):
            lease.renew()


def test_a_request_that_resumes_takes_over_and_the_first_holder_stops(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    leases, vessel = Leases(gallery, store, lambda: NOON, STEP), make_vessel(imo=IMO)
    with leases.for_registration(vessel, resumes=False) as first:
        with (
            pytest.raises(ConflictError, match="right now"),
            leases.for_registration(vessel, False),
        ):
            pytest.fail("the second request may write something else")
        with leases.for_registration(vessel, resumes=True) as second:
            with pytest.raises(ConflictError, match="by another request"):
                first.confirm()
            second.confirm()
        with pytest.raises(ConflictError):
            first.confirm()


def test_a_vessel_under_recovery_cannot_be_registered(leases: Leases) -> None:
    vessel = make_vessel()
    with (
        leases.for_recovery(vessel),
        pytest.raises(ConflictError),
        leases.for_registration(vessel, resumes=True),
    ):
        pytest.fail("its chips are being removed")


class FailingClaimStore(MemoryClaimStore):
    """A store that can fail to release claims."""

    failing = False

    def release(self, name: str, claim: NameClaim) -> None:
        if self.failing:
            raise StoreUnavailableError("down")
        super().release(name, claim)


def test_a_claim_that_was_not_released_is_taken_over_by_its_own_process_only() -> None:
    store, sighting_id = FailingClaimStore(), uuid4()
    gallery = FakeGallery("fake-bundle", WIDTH)
    own, other = (Leases(gallery, store, lambda: NOON, STEP) for _ in range(2))
    store.failing = True
    with own.for_judgement(sighting_id):
        pass
    store.failing = False
    with pytest.raises(ConflictError, match="judged right now"), other.for_judgement(sighting_id):
        pass
    with (
        own.for_judgement(sighting_id),
        pytest.raises(ConflictError, match="judged right now"),
        own.for_judgement(sighting_id),
    ):
        pass
    with other.for_judgement(sighting_id):
        pass
