from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest

from service.identity.enrol import NewVessel
from service.identity.errors import StoreDamagedError, StoreUnavailableError
from service.identity.leases import Task
from service.identity.matching.asking_again import AskingAgain
from service.identity.matching.match import MatchOptions
from service.identity.records.match_records import (
    Decision,
    MatchFilter,
    MatchRecord,
    MatchState,
    NewJudgement,
    Standing,
)
from service.identity.records.matches import Verdict
from service.identity.records.vessels import Vessel
from service.identity.uploads import ChipUpload
from tests.support.use_cases import CALIBRATION, UseCases, optical, sar, sar_look

NEW = MatchFilter(state=MatchState.NEW)


@pytest.fixture
def asking(use_cases: UseCases) -> AskingAgain:
    return AskingAgain(use_cases.context, use_cases.recovery.leases, use_cases.matcher, CALIBRATION)


def new(use_cases: UseCases) -> list[MatchRecord]:
    return list(use_cases.matches.page(NEW, 50, None).matches)


def ask(use_cases: UseCases, chip: ChipUpload, **options: object) -> UUID:
    """Ask about a chip; return the id of its match."""
    answer = use_cases.matcher.match(chip, MatchOptions.model_validate(options))
    return answer.match.id


def enrol(use_cases: UseCases, name: str, chip: ChipUpload) -> UUID:
    return use_cases.enrolment.enrol(NewVessel(name=name), [chip]).vessel.id


def run(asking: AskingAgain) -> int:
    """Ask again until nothing is left; return the number of compared chips."""
    total = 0
    while done := asking.ask_again():
        total += done
    return total


def test_an_enrolment_finds_the_sighting_that_waited(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    first = ask(use_cases, sar(7), top_k=3)
    ask(use_cases, sar(8))
    assert run(asking) == 0
    star = enrol(use_cases, "STAR", sar_look(7))
    assert new(use_cases) == []
    assert run(asking) == 1
    (found,) = new(use_cases)
    asked = use_cases.matches.get(first)
    assert asked is not None
    assert found.match.query.id == asked.match.query.id
    assert found.match.candidates[0].vessel.id == star
    assert found.found_by is not None
    assert found.found_by.vessel_id == star
    assert (found.asked_by, found.options) == ("service", asked.options)
    assert found.audit is not None
    assert asked.state is MatchState.ASKED


def test_a_damaged_vessel_keeps_no_other_from_being_found(
    use_cases: UseCases, asking: AskingAgain, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(use_cases, sar(7))
    star = enrol(use_cases, "STAR", sar_look(7))
    hurt = enrol(use_cases, "HURT", sar_look(9))
    whole = use_cases.gallery.get_vessels

    def get_vessels(ids: Collection[UUID]) -> dict[UUID, Vessel]:
        if hurt in ids:
            raise StoreDamagedError("a stored vessel is not what was written")
        return whole(ids)

    monkeypatch.setattr(use_cases.gallery, "get_vessels", get_vessels)
    assert run(asking) == 2
    (found,) = new(use_cases)
    assert found.found_by is not None
    assert found.found_by.vessel_id == star


def test_the_same_vessel_is_proposed_once(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    star = enrol(use_cases, "STAR", sar_look(7))
    run(asking)
    use_cases.enrolment.add_chips(star, [sar(7, height=43)])
    assert run(asking) == 1
    assert len(new(use_cases)) == 1


def test_an_answer_that_a_client_got_already_is_not_news(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    enrol(use_cases, "STAR", sar_look(7))
    ask(use_cases, sar(7))
    assert run(asking) == 1
    assert new(use_cases) == []


def test_one_of_two_vessels_is_news_only_when_an_answer_decides_for_it(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    star, twin = enrol(use_cases, "STAR", sar_look(7)), enrol(use_cases, "TWIN", sar(7, height=43))
    asked = use_cases.matches.get(ask(use_cases, sar(7)))
    assert asked is not None
    assert {star, twin} == {*asked.match.explanation.among}
    for vessel, height in ((star, 45), (twin, 47)):
        use_cases.enrolment.add_chips(vessel, [sar(7, height=height)])
    assert run(asking) == 4
    assert new(use_cases) == []
    use_cases.curation.merge(star, twin)
    run(asking)
    (found,) = new(use_cases)
    assert found.match.verdict is Verdict.CONFIDENT
    assert found.match.candidates[0].vessel.id == star


def test_other_ships_and_copies_are_not_proposed(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    enrol(use_cases, "OTHER", sar(99))
    enrol(use_cases, "COPY", sar(7))
    assert run(asking) == 2
    assert new(use_cases) == []


def test_a_vessel_that_was_rejected_is_not_proposed_again(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    ask(use_cases, sar(7))
    star = enrol(use_cases, "STAR", sar_look(7))
    run(asking)
    use_cases.review.judge(new(use_cases)[0].id, NewJudgement(decision=Decision.REJECTED))
    assert new(use_cases) == []
    use_cases.enrolment.add_chips(star, [sar(7, height=43)])
    run(asking)
    assert new(use_cases) == []


def test_a_confirmed_sighting_is_evidence_for_those_that_wait(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    first, second = ask(use_cases, sar(7)), ask(use_cases, sar_look(7))
    star = enrol(use_cases, "STAR", optical(70))
    run(asking)
    assert new(use_cases) == []
    confirmed = NewJudgement(decision=Decision.CONFIRMED, vessel_id=star)
    use_cases.review.judge(first, confirmed)
    assert run(asking) == 1
    (found,) = new(use_cases)
    other = use_cases.matches.get(second)
    assert other is not None
    assert found.match.query.id == other.match.query.id
    use_cases.review.judge(second, confirmed)
    run(asking)
    assert new(use_cases) == []
    settled = use_cases.matches.get(found.id)
    assert settled is not None
    assert (settled.state, settled.overtaken) == (MatchState.SETTLED, True)


def test_all_matches_of_a_chip_are_settled_when_one_is_confirmed(
    use_cases: UseCases, asking: AskingAgain
) -> None:
    star = enrol(use_cases, "STAR", sar_look(7))
    first, second = ask(use_cases, sar(7)), ask(use_cases, sar(7))
    other = ask(use_cases, sar(8))
    use_cases.review.judge(second, NewJudgement(decision=Decision.CONFIRMED, vessel_id=star))
    run(asking)
    waits = use_cases.matches.page(MatchFilter(state=MatchState.ASKED), 50, None).matches
    assert [one.id for one in waits] == [other]
    use_cases.review.judge(second, NewJudgement(decision=Decision.WITHDRAWN))
    waits = use_cases.matches.page(MatchFilter(state=MatchState.ASKED), 50, None).matches
    assert {one.id for one in waits} == {second, other}
    kept = use_cases.matches.get(first)
    assert kept is not None
    assert (kept.standing, kept.overtaken) == (Standing.OPEN, True)


def test_a_merge_asks_again(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    star, other = enrol(use_cases, "STAR", sar_look(7)), enrol(use_cases, "OTHER", optical(70))
    run(asking)
    use_cases.curation.merge(other, star)
    assert run(asking) >= 1
    proposed = {one.found_by.vessel_id for one in new(use_cases) if one.found_by}
    assert proposed == {star, other}


def test_a_failure_repeats_the_work(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    enrol(use_cases, "STAR", sar_look(7))

    def fail(_: MatchRecord) -> None:
        raise StoreUnavailableError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases.matches, "put", fail)
        with pytest.raises(StoreUnavailableError):
            asking.ask_again()
    assert run(asking) == 1
    assert len(new(use_cases)) == 1


def test_one_replica_at_a_time_asks(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    enrol(use_cases, "STAR", sar_look(7))
    with use_cases.recovery.leases.for_task(Task.ASKING_AGAIN):
        assert asking.ask_again() == 0
    assert asking.ask_again(lambda: True) == 0
    assert asking.ask_again() == 1


def test_a_deleted_chip_holds_nothing_up(use_cases: UseCases, asking: AskingAgain) -> None:
    ask(use_cases, sar(7))
    use_cases.chips.data.clear()
    enrol(use_cases, "STAR", sar_look(7))
    assert run(asking) == 1
    assert new(use_cases) == []


@pytest.mark.parametrize("decision", [Decision.CONFIRMED, Decision.REJECTED])
def test_a_sighting_can_be_judged_while_it_is_matched_anew(
    use_cases: UseCases, asking: AskingAgain, decision: Decision
) -> None:
    asked = ask(use_cases, sar(7))
    star = enrol(use_cases, "STAR", sar_look(7))
    matcher, states = use_cases.matcher, []

    def judge_first(*arguments: Any) -> object:
        vessel_id = star if decision is Decision.CONFIRMED else None
        judged = use_cases.review.judge(asked, NewJudgement(decision=decision, vessel_id=vessel_id))
        states.append(judged.record.standing)
        return ask_again(*arguments)

    ask_again = matcher.ask_again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher, "ask_again", judge_first)
        assert run(asking) >= 1
    assert states == [Standing(decision.value)]
    kept = use_cases.matches.get(asked)
    assert kept is not None
    assert kept.standing is Standing(decision.value)
    assert len(new(use_cases)) == (decision is Decision.REJECTED)
