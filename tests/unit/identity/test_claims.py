"""An IMO number goes to one vessel, whoever else asks for it at the same time."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.claims import LAPSES_AFTER, ImoClaims
from service.identity.errors import ConflictError
from service.identity.records import Claim, VesselState
from tests.fakes.embedder import WIDTH
from tests.fakes.gallery import FakeGallery
from tests.fakes.records import make_vessel

IMO = "9074729"
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def gallery() -> FakeGallery:
    return FakeGallery("fake-bundle", WIDTH)


@pytest.fixture
def claims(gallery: FakeGallery) -> ImoClaims:
    return ImoClaims(gallery, lambda: NOON)


def test_one_of_two_gets_the_number_and_it_is_free_again_afterwards(claims: ImoClaims) -> None:
    first, second = make_vessel(imo=IMO), make_vessel(imo=IMO)
    with (
        claims.held(first),
        pytest.raises(ConflictError, match="being registered right now") as refused,
        claims.held(second),
    ):
        pytest.fail("both hold it")
    assert refused.value.vessel_id == first.id
    with claims.held(second):
        pass


def test_a_number_that_a_visible_vessel_carries_is_not_given(
    gallery: FakeGallery, claims: ImoClaims
) -> None:
    known, new = make_vessel(imo=IMO, name="KNOWN"), make_vessel(imo=IMO)
    gallery.put_vessel(known)
    with pytest.raises(ConflictError, match=r"registered already.*KNOWN"), claims.held(new):
        pytest.fail("it is taken")
    with claims.held(new, giver=known):
        pass
    gallery.put_vessel(known.model_copy(update={"state": VesselState.MERGED}))
    with claims.held(new):
        pass


def test_the_same_vessel_twice_does_not_hinder_itself(claims: ImoClaims) -> None:
    vessel = make_vessel(imo=IMO)
    with claims.held(vessel), claims.held(vessel):
        pass


def test_a_claim_whose_holder_was_killed_lapses(gallery: FakeGallery) -> None:
    dead = Claim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    gallery.claim(IMO, dead, None)
    soon = ImoClaims(gallery, lambda: NOON + LAPSES_AFTER)
    with pytest.raises(ConflictError), soon.held(make_vessel(imo=IMO)):
        pytest.fail("it may be at work still")
    later = ImoClaims(gallery, lambda: NOON + LAPSES_AFTER + timedelta(seconds=1))
    with later.held(make_vessel(imo=IMO)):
        pass


def test_nothing_is_claimed_without_a_number_or_for_the_one_it_has(
    gallery: FakeGallery, claims: ImoClaims
) -> None:
    holder = Claim(token=uuid4(), vessel_id=uuid4(), made_at=NOON)
    gallery.claim(IMO, holder, None)
    with claims.held(make_vessel()):
        pass
    vessel = make_vessel(imo=IMO)
    with claims.held(vessel, before=vessel):
        pass
