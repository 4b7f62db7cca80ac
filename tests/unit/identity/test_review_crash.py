"""Judgements that a crash, a failing store or another replica cuts off: made or not, never half."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.identity.review import MatchReview, NewJudgement
from service.identity.match import MatchOptions
from service.identity.records.claims import NameClaim
from service.identity.records.match_records import Decision, MatchRecord, Standing
from service.identity.records.vessels import Vessel
from service.identity.recovery import Recovery
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
    """The process ends here."""


class Power:
    """Ends after so many writes of what a judgement writes."""

    def __init__(self) -> None:
        self.writes_left: int | None = None
        self.error: Exception = PowerCutError()
        self.before: Callable[[str], object] = lambda what: None
        """Called before each write with what is written."""

    def write(self, what: str) -> None:
        self.before(what)
        if self.writes_left == 0:
            raise self.error
        if self.writes_left is not None:
            self.writes_left -= 1


class Gallery(FakeGallery):
    def __init__(self, power: Power) -> None:
        super().__init__(FakeEmbedder.bundle_id, WIDTH)
        self.power = power

    def move_sightings(self, ids: Sequence[UUID], vessel: Vessel | None) -> None:
        self.power.write("sighting")
        super().move_sightings(ids, vessel)


class Claims(MemoryClaimStore):
    def __init__(self, power: Power) -> None:
        super().__init__()
        self.power = power

    def release(self, name: str, claim: NameClaim) -> None:
        if self.power.writes_left != 0:
            super().release(name, claim)


class History(FakeMatchStore):
    def __init__(self, power: Power) -> None:
        super().__init__()
        self.power = power

    def put(self, kept: MatchRecord) -> None:
        self.power.write("match")
        super().put(kept)


class Port:
    """A use_cases whose power can be cut, with a vessel and a match to judge, and a second replica."""

    def __init__(self) -> None:
        self.power = Power()
        self.gallery, self.matches = Gallery(self.power), History(self.power)
        self.claims = Claims(self.power)
        self.use_cases = build_use_cases(self.gallery, FakeChipStore(), self.matches, self.claims)
        self.star = self.enrol("STAR", 1)
        self.twin = self.enrol("TWIN", 2)
        self.match = self.ask()
        self.late = timedelta(0)
        self._ticks = itertools.count()
        self.replica = self.another_replica()

    def enrol(self, name: str, seed: int) -> UUID:
        return self.use_cases.enrolment.enrol(NewVessel(name=name), [optical(seed)]).vessel.id

    def ask(self) -> MatchRecord:
        match = self.use_cases.matcher.match(sar(5), MatchOptions()).match
        kept = self.matches.get(match.id)
        assert kept is not None
        return kept

    def another_replica(self) -> MatchReview:
        """With its own lock, and a clock that is set by hand."""
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
        return start + self.late + timedelta(milliseconds=next(self._ticks))

    def before_the_sighting_moves(self, meanwhile: Callable[[], object]) -> None:
        """Have something happen once, just before a judgement moves the sighting."""

        def once(what: str) -> None:
            if what == "sighting":
                self.power.before = lambda what: None
                meanwhile()

        self.power.before = once

    def restarted(self) -> UseCases:
        """After a kill: what one process knew is gone, its claims among them."""
        self.power.writes_left = None
        self.claims._claims.clear()
        use_cases = build_use_cases(self.gallery, FakeChipStore(), self.matches, self.claims)
        use_cases.review.settle_interrupted()
        return use_cases

    def state(self) -> tuple[Standing, UUID | None]:
        kept = self.matches.get(self.match.id)
        sighting = self.gallery.get_sighting(self.match.match.query.id)
        assert kept is not None
        assert sighting is not None
        assert not kept.unsettled
        return kept.standing, sighting.vessel_id


@pytest.fixture
def port() -> Port:
    return Port()


def confirmed(vessel_id: UUID) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id)


@pytest.mark.parametrize("writes", range(WRITES_OF_A_JUDGEMENT + 1))
@pytest.mark.parametrize("decision", ["confirmed", "rejected", "withdrawn"])
def test_one_that_is_cut_off_anywhere_is_made_or_not(
    port: Port, writes: int, decision: str
) -> None:
    port.use_cases.review.judge(port.match.id, confirmed(port.twin))
    said, after = {
        "confirmed": (confirmed(port.star), (Standing.CONFIRMED, port.star)),
        "rejected": (REJECTED, (Standing.REJECTED, None)),
        "withdrawn": (WITHDRAWN, (Standing.OPEN, None)),
    }[decision]
    before = port.state()
    port.power.writes_left = writes
    if writes < WRITES_OF_A_JUDGEMENT:
        with pytest.raises(PowerCutError):
            port.use_cases.review.judge(port.match.id, said)
    else:
        port.use_cases.review.judge(port.match.id, said)
    use_cases = port.restarted()
    assert port.state() == (after if writes else before)
    assert use_cases.review.settle_interrupted() == 0


@pytest.mark.parametrize("writes", range(WRITES_OF_A_JUDGEMENT))
def test_a_match_that_is_cut_off_is_remembered_whole_or_not_at_all(port: Port, writes: int) -> None:
    """A match writes itself once, last of all."""
    before = {kept.id for kept in port.matches.all()}
    port.power.writes_left = writes
    if writes == 0:
        with pytest.raises(PowerCutError):
            port.ask()
    else:
        port.ask()
    port.restarted()
    assert len({kept.id for kept in port.matches.all()} - before) == (writes > 0)


def test_what_a_failing_store_left_is_finished_before_the_sighting_is_judged_again(
    port: Port,
) -> None:
    """Else it would move the sighting later, over a judgement that was acknowledged."""
    second = port.ask()
    port.power.error = StoreUnavailableError("away")
    port.power.writes_left = 1
    with pytest.raises(StoreUnavailableError):
        port.use_cases.review.judge(second.id, confirmed(port.twin))
    port.power.writes_left = None
    port.claims._claims.clear()
    port.use_cases.review.judge(port.match.id, confirmed(port.star))
    assert port.use_cases.review.settle_interrupted() == 0
    assert port.state() == (Standing.CONFIRMED, port.star)
    kept = port.matches.get(second.id)
    assert kept is not None
    assert (kept.standing, kept.unsettled) == (Standing.CONFIRMED, False)


def test_a_vessel_that_is_gone_when_a_cut_off_judgement_is_finished_gets_nothing(
    port: Port,
) -> None:
    port.power.writes_left = 2
    with pytest.raises(PowerCutError):
        port.use_cases.review.judge(port.match.id, confirmed(port.star))
    port.power.writes_left = None
    port.gallery.delete_vessel(port.star)
    port.restarted()
    assert port.state() == (Standing.OPEN, None)
    assert port.matches.unsettled() == []


def test_a_judgement_taken_back_unacknowledged_leaves_what_another_match_said(port: Port) -> None:
    second = port.ask()
    port.use_cases.review.judge(second.id, confirmed(port.twin))
    port.before_the_sighting_moves(lambda: port.gallery.delete_vessel(port.star))
    with pytest.raises(NotFoundError, match="deleted just now"):
        port.use_cases.review.judge(port.match.id, confirmed(port.star))
    assert port.state() == (Standing.OPEN, port.twin)


def test_a_vessel_that_is_merged_meanwhile_is_followed(port: Port) -> None:
    port.before_the_sighting_moves(lambda: port.use_cases.curation.merge(port.twin, port.star))
    port.replica.judge(port.match.id, confirmed(port.star))
    assert port.state() == (Standing.CONFIRMED, port.twin)


def test_a_sighting_that_is_deleted_meanwhile_can_be_given_to_nobody(port: Port) -> None:
    sighting_id = port.match.match.query.id
    port.before_the_sighting_moves(lambda: port.gallery.delete_sightings([sighting_id]))
    with pytest.raises(ConflictError, match="was deleted"):
        port.use_cases.review.judge(port.match.id, confirmed(port.star))
    kept = port.matches.get(port.match.id)
    assert kept is not None
    assert (kept.judgements, kept.unsettled) == ((), False)


@pytest.mark.parametrize("at", range(1, WRITES_OF_A_JUDGEMENT + 1))
def test_two_replicas_do_not_judge_one_sighting_at_once(port: Port, at: int) -> None:
    second, looks = port.ask(), itertools.count(1)

    def meanwhile(what: str) -> None:
        if next(looks) == at:
            for match in (port.match, second):
                with pytest.raises(ConflictError, match="judged right now"):
                    port.replica.judge(match.id, confirmed(port.twin))
            assert port.replica.settle_interrupted() == 0

    port.power.before = meanwhile
    port.use_cases.review.judge(port.match.id, confirmed(port.star))
    assert next(looks) > WRITES_OF_A_JUDGEMENT
    assert port.state() == (Standing.CONFIRMED, port.star)


@pytest.mark.parametrize("writes", [1, 2])
def test_another_replica_finishes_what_a_killed_one_left_when_its_claim_has_lapsed(
    port: Port, writes: int
) -> None:
    killed = port.another_replica()
    port.power.writes_left = writes
    with pytest.raises(PowerCutError):
        killed.judge(port.match.id, confirmed(port.star))
    port.power.writes_left = None
    assert port.replica.settle_interrupted() == 0
    with pytest.raises(ConflictError, match="right now"):
        port.replica.judge(port.match.id, REJECTED)
    port.late = timedelta(minutes=4)
    assert port.replica.settle_interrupted() == 1
    assert port.state() == (Standing.CONFIRMED, port.star)


@pytest.mark.parametrize("at", [2, 3])
def test_one_that_was_held_up_until_its_claim_lapsed_stops(port: Port, at: int) -> None:
    held_up, looks = port.another_replica(), itertools.count(1)

    def meanwhile(what: str) -> None:
        if next(looks) == at - 1:
            port.late = timedelta(minutes=4)

    port.power.before = meanwhile
    with pytest.raises(StoreUnavailableError, match="could not be judged in time"):
        held_up.judge(port.match.id, confirmed(port.star))
    port.late = timedelta(minutes=8)
    port.replica.settle_interrupted()
    assert port.state() == (Standing.CONFIRMED, port.star)
    assert port.replica.judge(port.match.id, REJECTED).record.standing is Standing.REJECTED
