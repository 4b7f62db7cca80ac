"""Two replicas share gallery and chips; one is slow or is killed while it registers a vessel."""

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


class ManualClock:
    """A clock that is set by hand."""

    time = datetime(2026, 3, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, steps: float) -> None:
        self.time += steps * STEP


class InterruptedChipStore(FakeChipStore):
    """Calls `meanwhile` after each chip that the first replica stores."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def put(self, data: bytes) -> str:
        done = super().put(data)
        self.meanwhile()
        return done


class KillableClaimStore(MemoryClaimStore):
    """Keeps the claims of a killed replica."""

    killed = False

    def release(self, name: str, claim: NameClaim) -> None:
        if not self.killed:
            super().release(name, claim)


class KilledError(RuntimeError):
    """The first replica was killed."""


class TwoReplicas:
    """Two replicas with shared stores, `slow` and `other`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gallery = FakeGallery(FakeEmbedder.bundle_id, WIDTH)
        self.claims = KillableClaimStore()
        self.chips = InterruptedChipStore()
        self.slow, _ = self._replica(self.chips)
        other_chips = FakeChipStore()
        other_chips.data, other_chips.stored_times = self.chips.data, self.chips.stored_times
        self.other, self.recovery = self._replica(other_chips)

    def _replica(self, chips: FakeChipStore) -> tuple[Enrolment, Recovery]:
        context = make_context(self.gallery, chips, claims=self.claims, now=self.clock)
        recovery = Recovery(context, STEP)
        return Enrolment(context, fake_upload_embedder(self.clock), recovery), recovery

    def kill(self) -> None:
        self.claims.killed = True
        raise KilledError

    def restart(self) -> None:
        self.claims.killed = False


@pytest.fixture
def replicas() -> TwoReplicas:
    return TwoReplicas()


def test_a_long_enrolment_keeps_its_lease(replicas: TwoReplicas) -> None:
    def pass_a_minute() -> None:
        replicas.clock.advance(0.9)
        assert replicas.recovery.run() == 0
        with pytest.raises(ConflictError, match="right now"):
            replicas.other.enrol(NewVessel(name="OTHER", imo=STAR.imo), [optical(99)])

    replicas.chips.meanwhile = pass_a_minute
    done = replicas.slow.enrol(STAR, [optical(seed) for seed in range(30)])
    assert done.created
    assert {s.chip_sha256 for s in done.sightings} == replicas.chips.data.keys()
    replicas.clock.advance(100)
    assert replicas.recovery.run() == 0


def test_an_enrolment_that_was_delayed_too_long_is_not_acknowledged(replicas: TwoReplicas) -> None:
    def delay() -> None:
        replicas.clock.advance(4)
        replicas.chips.meanwhile = lambda: None
        assert replicas.recovery.run() == 1

    replicas.chips.meanwhile = delay
    with pytest.raises(StoreUnavailableError, match="too slow"):
        replicas.slow.enrol(STAR, [optical(1), optical(2)])
    assert replicas.gallery.counts().vessels == 0
    assert replicas.other.enrol(STAR, [optical(1), optical(2)]).created


def test_a_repeated_request_continues_where_a_killed_replica_stopped(replicas: TwoReplicas) -> None:
    replicas.chips.meanwhile = replicas.kill
    with pytest.raises(KilledError):
        replicas.slow.enrol(NAMED, [optical(1), optical(2)])
    replicas.restart()
    assert replicas.other.enrol(NAMED, [optical(2), optical(1)]).created
    assert len(replicas.chips.data) == 2
    replicas.clock.advance(100)
    assert replicas.recovery.run() == 0


def test_another_request_for_the_same_id_waits_until_the_lease_lapses(
    replicas: TwoReplicas,
) -> None:
    replicas.chips.meanwhile = replicas.kill
    with pytest.raises(KilledError):
        replicas.slow.enrol(NAMED, [optical(1), optical(2)])
    replicas.restart()
    with pytest.raises(ConflictError, match="right now"):
        replicas.other.enrol(NAMED, [optical(3)])
    replicas.clock.advance(3.1)
    done = replicas.other.enrol(NAMED, [optical(3)])
    assert [s.chip_sha256 for s in done.sightings] == list(replicas.chips.data)


def test_of_two_equal_requests_at_once_one_succeeds(replicas: TwoReplicas) -> None:
    def enrol_the_same() -> None:
        replicas.chips.meanwhile = lambda: None
        assert replicas.other.enrol(STAR, [optical(1), optical(2)]).created

    replicas.chips.meanwhile = enrol_the_same
    with pytest.raises(ConflictError, match="by another request"):
        replicas.slow.enrol(STAR, [optical(1), optical(2)])
    again = replicas.slow.enrol(STAR, [optical(1), optical(2)])
    assert not again.created
    assert {s.chip_sha256 for s in again.sightings} == replicas.chips.data.keys()
