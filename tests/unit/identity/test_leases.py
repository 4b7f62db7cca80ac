"""An IMO number goes to one vessel, whoever else asks for it at the same time."""

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


def test_one_of_two_gets_the_number_and_it_is_free_again_afterwards(leases: Leases) -> None:
    first, second = make_vessel(imo=IMO), make_vessel(imo=IMO)
    with (
        leases.for_imo_change(first),
        pytest.raises(ConflictError, match="being registered right now") as refused,
        leases.for_imo_change(second),
    ):
        pytest.fail("both hold it")
    assert refused.value.vessel_id == first.id
    with leases.for_imo_change(second):
        pass


def test_a_number_that_a_visible_vessel_carries_is_not_given(
    gallery: FakeGallery, leases: Leases
) -> None:
    known, new = make_vessel(imo=IMO, name="KNOWN"), make_vessel(imo=IMO)
    gallery.put_vessel(known)
    with pytest.raises(ConflictError, match=r"registered already.*KNOWN"), leases.for_imo_change(new):
        pytest.fail("it is taken")
    with leases.for_imo_change(new, giver=known):
        pass
    gallery.put_vessel(known.model_copy(update={"state": VesselState.MERGED}))
    with leases.for_imo_change(new):
        pass


def test_the_same_vessel_twice_does_not_hinder_itself(leases: Leases) -> None:
    vessel = make_vessel(imo=IMO)
    with leases.for_imo_change(vessel), leases.for_imo_change(vessel):
        pass


def test_a_claim_whose_holder_was_killed_lapses(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    dead = NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    store.claim(f"IMO {IMO}", dead, None)
    soon = Leases(gallery, store, lambda: NOON + lease_lifetime(STEP), STEP)
    with pytest.raises(ConflictError), soon.for_imo_change(make_vessel(imo=IMO)):
        pytest.fail("it may be at work still")
    later = Leases(gallery, store, lambda: NOON + lease_lifetime(STEP) + timedelta(seconds=1), STEP)
    with later.for_imo_change(make_vessel(imo=IMO)):
        pass


def test_nothing_is_claimed_without_a_number_or_for_the_one_it_has(
    store: MemoryClaimStore, leases: Leases
) -> None:
    holder = NameClaim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    store.claim(f"IMO {IMO}", holder, None)
    with leases.for_imo_change(make_vessel()):
        pass
    vessel = make_vessel(imo=IMO)
    with leases.for_imo_change(vessel, before=vessel):
        pass


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def passes(self, steps: float) -> None:
        self.time += steps * STEP


def test_who_renews_holds_a_claim_for_as_long_as_it_takes(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    watch, vessel = Watch(), make_vessel(imo=IMO)
    leases = Leases(gallery, store, watch, STEP)
    with leases.for_registration(vessel, resumes=False) as lease:
        for _ in range(20):
            watch.passes(0.9)
            lease.renew()
        with pytest.raises(ConflictError), leases.for_imo_change(make_vessel(imo=IMO)):
            pytest.fail("the number is held")
        with pytest.raises(ConflictError), leases.for_recovery(vessel):
            pytest.fail("the vessel is held")
        lease.confirm()
    with leases.for_recovery(vessel), leases.for_imo_change(make_vessel(imo=IMO)):
        pass


def test_who_was_held_up_so_long_that_its_claim_may_lapse_stops(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    watch = Watch()
    leases = Leases(gallery, store, watch, STEP)
    with leases.for_registration(make_vessel(), resumes=False) as lease:
        watch.passes(1.1)
        with pytest.raises(StoreUnavailableError, match="too slow"):
            lease.renew()


def test_who_writes_the_same_takes_over_and_the_other_one_notices(
    gallery: FakeGallery, store: MemoryClaimStore
) -> None:
    leases, vessel = Leases(gallery, store, lambda: NOON, STEP), make_vessel(imo=IMO)
    with leases.for_registration(vessel, resumes=False) as first:
        with pytest.raises(ConflictError, match="right now"), leases.for_registration(vessel, False):
            pytest.fail("it may write something else")
        with leases.for_registration(vessel, resumes=True) as second:
            with pytest.raises(ConflictError, match="by another request"):
                first.confirm()
            second.confirm()
        with pytest.raises(ConflictError):
            first.confirm()


def test_nobody_goes_on_with_what_is_being_settled(leases: Leases) -> None:
    vessel = make_vessel()
    with (
        leases.for_recovery(vessel),
        pytest.raises(ConflictError),
        leases.for_registration(vessel, resumes=True),
    ):
        pytest.fail("its chips are being removed")


class Forgetful(MemoryClaimStore):
    """A store that is away when a claim is given up."""

    away = False

    def release(self, name: str, claim: NameClaim) -> None:
        if self.away:
            raise StoreUnavailableError("away")
        super().release(name, claim)


def test_what_could_not_be_given_up_is_taken_over_by_its_own_process_alone() -> None:
    store, sighting_id = Forgetful(), uuid4()
    gallery = FakeGallery("fake-bundle", WIDTH)
    mine, other = (Leases(gallery, store, lambda: NOON, STEP) for _ in range(2))
    store.away = True
    with mine.for_judgement(sighting_id):
        pass
    store.away = False
    with pytest.raises(ConflictError, match="judged right now"), other.for_judgement(sighting_id):
        pass
    with (
        mine.for_judgement(sighting_id),
        pytest.raises(ConflictError, match="judged right now"),
        mine.for_judgement(sighting_id),
    ):
        pass
    with other.for_judgement(sighting_id):
        pass
