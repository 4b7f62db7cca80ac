"""A judgement that a crash, a store or another replica interrupts is made or not made."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.identity.matching.match import MatchOptions
from service.identity.records.claims import NameClaim
from service.identity.records.match_records import Decision, MatchRecord, NewJudgement, Standing
from service.identity.records.vessels import Vessel
from service.identity.recovery import Recovery
from service.identity.review import MatchReview
from service.storage.local.claims import MemoryClaimStore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.embedder import WIDTH, FakeEmbedder
from tests.support.fakes.gallery import FakeGallery
from tests.support.fakes.matches import FakeMatchStore
from tests.support.use_cases import UseCases, build_use_cases, make_context, optical, sar

STEP = timedelta(minutes=1)
REJECTED = NewJudgement(decision=Decision.REJECTED)
WITHDRAWN = NewJudgement(decision=Decision.WITHDRAWN)
WRITES_OF_A_JUDGEMENT = 3


class PowerCutError(RuntimeError):
    """The process was killed."""


class WriteLimit:
    """Raises `error` instead of a write once `writes_left` is used up."""

    def __init__(self) -> None:
        self.writes_left: int | None = None
        self.error: Exception = PowerCutError()
        self.before: Callable[[str], object] = lambda written: None
        """Called before each write with `sighting` or `match`."""

    def write(self, written: str) -> None:
        self.before(written)
        if self.writes_left == 0:
            raise self.error
        if self.writes_left is not None:
            self.writes_left -= 1


class LimitedGallery(FakeGallery):
    def __init__(self, limit: WriteLimit) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self.limit = limit

    def move_sightings(
        self, ids: Sequence[UUID], vessel: Vessel | None, origin: UUID | None = None
    ) -> None:
        self.limit.write("sighting")
        super().move_sightings(ids, vessel, origin)


class LimitedClaimStore(MemoryClaimStore):
    def __init__(self, limit: WriteLimit) -> None:
        super().__init__()
        self.limit = limit

    def release(self, name: str, claim: NameClaim) -> None:
        if self.limit.writes_left != 0:
            super().release(name, claim)


class LimitedMatchStore(FakeMatchStore):
    def __init__(self, limit: WriteLimit) -> None:
        super().__init__()
        self.limit = limit

    def put(self, *records: MatchRecord) -> None:
        self.limit.write("match")
        super().put(*records)


class Setup:
    """Use cases that can be interrupted, two vessels, a match to judge, and a second replica."""

    def __init__(self) -> None:
        self.limit = WriteLimit()
        self.gallery = LimitedGallery(self.limit)
        self.matches = LimitedMatchStore(self.limit)
        self.claims = LimitedClaimStore(self.limit)
        self.use_cases = build_use_cases(self.gallery, FakeChipStore(), self.matches, self.claims)
        self.star = self.enrol("STAR", 1)
        self.twin = self.enrol("TWIN", 2)
        self.match = self.make_match()
        self.delay = timedelta(0)
        self._ticks = itertools.count()
        self.replica = self.another_replica()

    def enrol(self, name: str, seed: int) -> UUID:
        return self.use_cases.enrolment.enrol(NewVessel(name=name), [optical(seed)]).vessel.id

    def make_match(self) -> MatchRecord:
        match = self.use_cases.matcher.match(sar(5), MatchOptions()).match
        record = self.matches.get(match.id)
        assert record is not None
        return record

    def another_replica(self) -> MatchReview:
        """Make a replica with its own lock, and a clock that is `delay` ahead."""
        context = make_context(
            self.gallery,
            self.use_cases.chips,
            matches=self.matches,
            claims=self.claims,
            now=self.time,
        )
        return MatchReview(context, Recovery(context, STEP))

    def time(self) -> datetime:
        start = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
        return start + self.delay + timedelta(milliseconds=next(self._ticks))

    def before_the_sighting_moves(self, meanwhile: Callable[[], object]) -> None:
        """Call `meanwhile` once, just before a judgement moves the sighting."""

        def once(written: str) -> None:
            if written == "sighting":
                self.limit.before = lambda _: None
                meanwhile()

        self.limit.before = once

    def restart(self) -> UseCases:
        """Start a new process after a kill, without the claims of the killed one."""
        self.limit.writes_left = None
        self.claims._claims.clear()
        use_cases = build_use_cases(self.gallery, FakeChipStore(), self.matches, self.claims)
        use_cases.review.settle_interrupted()
        return use_cases

    def state(self) -> tuple[Standing, UUID | None]:
        record = self.matches.get(self.match.id)
        sighting = self.gallery.get_sighting(self.match.match.query.id)
        assert record is not None
        assert sighting is not None
        assert not record.unsettled
        return record.standing, sighting.vessel_id


@pytest.fixture
def setup() -> Setup:
    return Setup()


def confirmed(vessel_id: UUID) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id)


@pytest.mark.parametrize("writes", range(WRITES_OF_A_JUDGEMENT + 1))
@pytest.mark.parametrize("decision", ["confirmed", "rejected", "withdrawn"])
def test_an_interrupted_judgement_is_made_or_not(setup: Setup, writes: int, decision: str) -> None:
    setup.use_cases.review.judge(setup.match.id, confirmed(setup.twin))
    judgement, after = {
        "confirmed": (confirmed(setup.star), (Standing.CONFIRMED, setup.star)),
        "rejected": (REJECTED, (Standing.REJECTED, None)),
        "withdrawn": (WITHDRAWN, (Standing.OPEN, None)),
    }[decision]
    before = setup.state()
    setup.limit.writes_left = writes
    if writes < WRITES_OF_A_JUDGEMENT:
        with pytest.raises(PowerCutError):
            setup.use_cases.review.judge(setup.match.id, judgement)
    else:
        setup.use_cases.review.judge(setup.match.id, judgement)
    use_cases = setup.restart()
    assert setup.state() == (after if writes else before)
    assert use_cases.review.settle_interrupted() == 0


@pytest.mark.parametrize("writes", range(WRITES_OF_A_JUDGEMENT))
def test_an_interrupted_match_is_recorded_completely_or_not(setup: Setup, writes: int) -> None:
    """The match record is the last write of a match."""
    before = {record.id for record in setup.matches.all()}
    setup.limit.writes_left = writes
    if writes == 0:
        with pytest.raises(PowerCutError):
            setup.make_match()
    else:
        setup.make_match()
    setup.restart()
    assert len({record.id for record in setup.matches.all()} - before) == (writes > 0)


def test_an_interrupted_judgement_is_finished_before_the_next_one(setup: Setup) -> None:
    """Otherwise it would move the sighting after a later judgement was acknowledged."""
    second = setup.make_match()
    setup.limit.error = StoreUnavailableError("down")
    setup.limit.writes_left = 1
    with pytest.raises(StoreUnavailableError):
        setup.use_cases.review.judge(second.id, confirmed(setup.twin))
    setup.limit.writes_left = None
    setup.claims._claims.clear()
    setup.use_cases.review.judge(setup.match.id, confirmed(setup.star))
    assert setup.use_cases.review.settle_interrupted() == 0
    assert setup.state() == (Standing.CONFIRMED, setup.star)
    record = setup.matches.get(second.id)
    assert record is not None
    assert (record.standing, record.unsettled) == (Standing.CONFIRMED, False)


def test_an_interrupted_judgement_is_removed_when_its_vessel_was_deleted(setup: Setup) -> None:
    setup.limit.writes_left = 2
    with pytest.raises(PowerCutError):
        setup.use_cases.review.judge(setup.match.id, confirmed(setup.star))
    setup.limit.writes_left = None
    setup.gallery.delete_vessel(setup.star)
    setup.restart()
    assert setup.state() == (Standing.OPEN, None)
    assert setup.matches.unsettled() == []


def test_a_removed_judgement_leaves_the_judgement_of_another_match_in_force(setup: Setup) -> None:
    second = setup.make_match()
    setup.use_cases.review.judge(second.id, confirmed(setup.twin))
    setup.before_the_sighting_moves(lambda: setup.gallery.delete_vessel(setup.star))
    with pytest.raises(NotFoundError, match="deleted just now"):
        setup.use_cases.review.judge(setup.match.id, confirmed(setup.star))
    assert setup.state() == (Standing.OPEN, setup.twin)


def test_a_judgement_follows_a_vessel_that_is_merged_meanwhile(setup: Setup) -> None:
    setup.before_the_sighting_moves(lambda: setup.use_cases.curation.merge(setup.twin, setup.star))
    setup.replica.judge(setup.match.id, confirmed(setup.star))
    assert setup.state() == (Standing.CONFIRMED, setup.twin)


def test_a_judgement_fails_when_the_sighting_is_deleted_meanwhile(setup: Setup) -> None:
    sighting_id = setup.match.match.query.id
    setup.before_the_sighting_moves(lambda: setup.gallery.delete_sightings([sighting_id]))
    with pytest.raises(ConflictError, match="was deleted"):
        setup.use_cases.review.judge(setup.match.id, confirmed(setup.star))
    record = setup.matches.get(setup.match.id)
    assert record is not None
    assert (record.judgements, record.unsettled) == ((), False)


@pytest.mark.parametrize("at", range(1, WRITES_OF_A_JUDGEMENT + 1))
def test_two_replicas_cannot_judge_the_same_sighting_at_once(setup: Setup, at: int) -> None:
    second, writes = setup.make_match(), itertools.count(1)

    def meanwhile(_: str) -> None:
        if next(writes) == at:
            for match in (setup.match, second):
                with pytest.raises(ConflictError, match="judged right now"):
                    setup.replica.judge(match.id, confirmed(setup.twin))
            assert setup.replica.settle_interrupted() == 0

    setup.limit.before = meanwhile
    setup.use_cases.review.judge(setup.match.id, confirmed(setup.star))
    assert next(writes) > WRITES_OF_A_JUDGEMENT
    assert setup.state() == (Standing.CONFIRMED, setup.star)


@pytest.mark.parametrize("writes", [1, 2])
def test_a_judgement_of_a_killed_replica_is_finished_when_its_lease_has_lapsed(
    setup: Setup, writes: int
) -> None:
    killed = setup.another_replica()
    setup.limit.writes_left = writes
    with pytest.raises(PowerCutError):
        killed.judge(setup.match.id, confirmed(setup.star))
    setup.limit.writes_left = None
    assert setup.replica.settle_interrupted() == 0
    with pytest.raises(ConflictError, match="right now"):
        setup.replica.judge(setup.match.id, REJECTED)
    setup.delay = timedelta(minutes=4)
    assert setup.replica.settle_interrupted() == 1
    assert setup.state() == (Standing.CONFIRMED, setup.star)


@pytest.mark.parametrize("at", [2, 3])
def test_a_judgement_stops_when_its_lease_may_have_lapsed(setup: Setup, at: int) -> None:
    delayed, writes = setup.another_replica(), itertools.count(1)

    def meanwhile(_: str) -> None:
        if next(writes) == at - 1:
            setup.delay = timedelta(minutes=4)

    setup.limit.before = meanwhile
    with pytest.raises(StoreUnavailableError, match="could not be judged in time"):
        delayed.judge(setup.match.id, confirmed(setup.star))
    setup.delay = timedelta(minutes=8)
    setup.replica.settle_interrupted()
    assert setup.state() == (Standing.CONFIRMED, setup.star)
    assert setup.replica.judge(setup.match.id, REJECTED).record.standing is Standing.REJECTED
