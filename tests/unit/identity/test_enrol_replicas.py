"""Two replicas share gallery and chips; one of them is slow or dies while it registers a vessel."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.identity.enrol import Enrolment, NewVessel
from service.identity.errors import ConflictError, StoreUnavailableError
from service.identity.records.claims import NameClaim
from service.identity.recovery import Recovery
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.use_cases import fake_upload_embedder, make_context, optical

STEP = timedelta(minutes=1)
STAR = NewVessel(name="EXAMPLE STAR", imo="9074729")
NAMED = STAR.model_copy(update={"id": uuid4()})


class Watch:
    """A clock that is set by hand."""

    time = datetime(2026, 3, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def passes(self, steps: float) -> None:
        self.time += steps * STEP


class Chips(FakeChipStore):
    """What happens while the first replica puts a chip."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def put(self, data: bytes) -> str:
        done = super().put(data)
        self.meanwhile()
        return done


class Mortal(MemoryClaimStore):
    """After a death its claims stay."""

    dead = False

    def release(self, name: str, claim: NameClaim) -> None:
        if not self.dead:
            super().release(name, claim)


class KilledError(RuntimeError):
    """The first replica ends here."""


class Site:
    """Two replicas, `slow` and `other`."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.gallery = FakeGallery(FakeEmbedder.bundle_id, WIDTH)
        self.claims = Mortal()
        self.chips = Chips()
        self.slow, _ = self._replica(self.chips)
        beside = FakeChipStore()
        beside.kept, beside.times = self.chips.kept, self.chips.times
        self.other, self.recovery = self._replica(beside)

    def _replica(self, chips: FakeChipStore) -> tuple[Enrolment, Recovery]:
        context = make_context(self.gallery, chips, claims=self.claims, now=self.watch)
        recovery = Recovery(context, STEP)
        return Enrolment(context, fake_upload_embedder(self.watch), recovery), recovery

    def dies(self) -> None:
        self.claims.dead = True
        raise KilledError

    def revives(self) -> None:
        self.claims.dead = False


@pytest.fixture
def site() -> Site:
    return Site()


def test_an_enrolment_with_many_chips_takes_as_long_as_it_takes(site: Site) -> None:
    def another_minute() -> None:
        site.watch.passes(0.9)
        assert site.recovery.run() == 0
        with pytest.raises(ConflictError, match="right now"):
            site.other.enrol(NewVessel(name="OTHER", imo=STAR.imo), [optical(99)])

    site.chips.meanwhile = another_minute
    done = site.slow.enrol(STAR, [optical(seed) for seed in range(30)])
    assert done.created
    assert {s.chip_sha256 for s in done.sightings} == site.chips.kept.keys()
    site.watch.passes(100)
    assert site.recovery.run() == 0


def test_one_that_was_held_up_too_long_is_not_acknowledged(site: Site) -> None:
    def too_long() -> None:
        site.watch.passes(4)
        site.chips.meanwhile = lambda: None
        assert site.recovery.run() == 1

    site.chips.meanwhile = too_long
    with pytest.raises(StoreUnavailableError, match="too slow"):
        site.slow.enrol(STAR, [optical(1), optical(2)])
    assert site.gallery.counts().vessels == 0
    assert site.other.enrol(STAR, [optical(1), optical(2)]).created


def test_the_same_request_goes_on_where_a_killed_replica_stopped(site: Site) -> None:
    site.chips.meanwhile = site.dies
    with pytest.raises(KilledError):
        site.slow.enrol(NAMED, [optical(1), optical(2)])
    site.revives()
    assert site.other.enrol(NAMED, [optical(2), optical(1)]).created
    assert len(site.chips.kept) == 2
    site.watch.passes(100)
    assert site.recovery.run() == 0


def test_another_request_for_its_id_waits_until_the_claim_lapses(site: Site) -> None:
    site.chips.meanwhile = site.dies
    with pytest.raises(KilledError):
        site.slow.enrol(NAMED, [optical(1), optical(2)])
    site.revives()
    with pytest.raises(ConflictError, match="right now"):
        site.other.enrol(NAMED, [optical(3)])
    site.watch.passes(3.1)
    done = site.other.enrol(NAMED, [optical(3)])
    assert [s.chip_sha256 for s in done.sightings] == list(site.chips.kept)


def test_of_two_equal_requests_at_once_one_is_done_and_neither_undone(site: Site) -> None:
    def twin() -> None:
        site.chips.meanwhile = lambda: None
        assert site.other.enrol(STAR, [optical(1), optical(2)]).created

    site.chips.meanwhile = twin
    with pytest.raises(ConflictError, match="by another request"):
        site.slow.enrol(STAR, [optical(1), optical(2)])
    again = site.slow.enrol(STAR, [optical(1), optical(2)])
    assert not again.created
    assert {s.chip_sha256 for s in again.sightings} == site.chips.kept.keys()
