"""Open sightings that may show one ship are put into a group."""

from dataclasses import replace
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.matching.grouping import THRESHOLD
from service.identity.matching.groups import SightingGroup
from service.identity.matching.match import MatchOptions
from service.identity.matching.scene import SceneMatcher
from service.identity.records.match_records import (
    Decision,
    MatchFilter,
    MatchPage,
    NewJudgement,
    Standing,
)
from service.identity.records.sightings import SightingHit
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.use_cases import UseCases, optical, sar, sar_look

STORED = MatchOptions()


def ask(use_cases: UseCases, *chips: ChipUpload) -> UUID:
    """Ask about chips of one ship; return the id of the first sighting."""
    first, *more = chips
    return use_cases.matcher.match(first, STORED, more).match.query.id


def third_look(seed: int) -> ChipUpload:
    return sar(seed, height=42)


def at(chip: ChipUpload, lat: float, hour: int) -> ChipUpload:
    stated = {"lat": lat, "lon": 1, "captured_at": f"2025-12-01T{hour:02}:00:00Z"}
    return replace(chip, metadata=ChipMetadata.model_validate(stated))


def run(use_cases: UseCases) -> int:
    """Group until nothing is left; return how many sightings were compared."""
    total = 0
    while done := use_cases.grouping.run():
        total += done
    return total


def matches_of(use_cases: UseCases, sighting_id: UUID) -> list[UUID]:
    where = MatchFilter(sighting_id=sighting_id)
    return [one.id for one in use_cases.matches.page(where, 20, None).matches]


def groups(use_cases: UseCases) -> list[SightingGroup]:
    return list(use_cases.groups.page(20, None).groups)


def grouped(use_cases: UseCases) -> list[set[UUID]]:
    return [{one.sighting.id for one in group.members} for group in groups(use_cases)]


def test_looks_at_one_ship_become_a_group(use_cases: UseCases) -> None:
    first, _, second = ask(use_cases, sar(7)), ask(use_cases, sar(8)), ask(use_cases, sar_look(7))
    assert groups(use_cases) == []
    assert run(use_cases) == 3
    (group,) = groups(use_cases)
    assert [one.sighting.id for one in group.members] == [first, second]
    assert group.probability is not None
    assert THRESHOLD <= group.probability < 1
    assert group.chips == 2
    (asked,) = matches_of(use_cases, first)
    assert group.members[0].match_id == asked


def test_a_later_look_joins_the_group_and_nothing_else_changes(use_cases: UseCases) -> None:
    first, second = ask(use_cases, sar(7)), ask(use_cases, sar_look(7))
    run(use_cases)
    (before,) = groups(use_cases)
    third = ask(use_cases, third_look(7))
    assert run(use_cases) == 1
    (after,) = groups(use_cases)
    assert after.id == before.id
    assert grouped(use_cases) == [{first, second, third}]
    assert run(use_cases) == 0
    assert groups(use_cases) == [after]


def test_one_sighting_costs_two_searches(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        ask(use_cases, sar(seed))
    run(use_cases)
    searches: list[Modality] = []
    search = use_cases.gallery.search_open

    def counted(
        vector: NDArray[np.float32], modality: Modality, limit: int, compared: bool
    ) -> list[SightingHit]:
        searches.append(modality)
        return search(vector, modality, limit, compared)

    monkeypatch.setattr(use_cases.gallery, "search_open", counted)
    ask(use_cases, sar_look(1))
    run(use_cases)
    assert sorted(searches) == sorted(Modality)


def test_records_of_others_are_read_only_if_a_group_is_probable(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_like = ask(use_cases, sar(7))
    run(use_cases)
    read: list[UUID | None] = []
    page = use_cases.matches.page

    def noted(where: MatchFilter, limit: int, cursor: str | None) -> MatchPage:
        read.append(where.sighting_id)
        return page(where, limit, cursor)

    monkeypatch.setattr(use_cases.matches, "page", noted)
    with monkeypatch.context() as many:
        many.setattr(use_cases.gallery, "open_count", lambda: 10**9)
        second = ask(use_cases, sar_look(7))
        run(use_cases)
    assert read == [second]
    ask(use_cases, third_look(7))
    run(use_cases)
    assert looked_like in read


def test_more_waiting_sightings_need_more_evidence(
    use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(use_cases, sar(7))
    ask(use_cases, sar_look(7))
    monkeypatch.setattr(use_cases.gallery, "open_count", lambda: 10**9)
    run(use_cases)
    assert groups(use_cases) == []


def test_the_same_chip_with_other_facts_is_not_a_second_look(use_cases: UseCases) -> None:
    ask(use_cases, sar(7))
    ask(use_cases, replace(sar(7), metadata=ChipMetadata(note="again")))
    run(use_cases)
    assert groups(use_cases) == []


def test_an_impossible_voyage_keeps_apart(use_cases: UseCases) -> None:
    ask(use_cases, at(sar(7), lat=0, hour=1))
    ask(use_cases, at(sar_look(7), lat=20, hour=2))
    run(use_cases)
    assert groups(use_cases) == []
    possible = ask(use_cases, at(third_look(7), lat=0.1, hour=2))
    run(use_cases)
    (found,) = grouped(use_cases)
    assert possible in found
    assert len(found) == 2


def test_chips_of_one_image_are_kept_apart(use_cases: UseCases) -> None:
    SceneMatcher(use_cases.matcher).match([sar(7), sar_look(7)], STORED)
    run(use_cases)
    assert groups(use_cases) == []


def test_chips_that_were_sent_as_one_ship_are_a_group(use_cases: UseCases) -> None:
    first = ask(use_cases, sar(1), sar(2))
    run(use_cases)
    (group,) = groups(use_cases)
    assert group.probability is None
    assert first in {one.sighting.id for one in group.members}
    ask(use_cases, sar_look(1))
    run(use_cases)
    assert len(groups(use_cases)) == 1


def test_a_sighting_with_a_vessel_leaves_its_group_and_comes_back_open(use_cases: UseCases) -> None:
    first, second = ask(use_cases, sar(7)), ask(use_cases, sar_look(7))
    run(use_cases)
    vessel = use_cases.enrolment.enrol(NewVessel(name="STAR"), [optical(9)]).vessel
    (match_id,) = matches_of(use_cases, first)
    confirmed = NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel.id)
    use_cases.review.judge(match_id, confirmed)
    assert groups(use_cases) == []
    use_cases.review.judge(match_id, NewJudgement(decision=Decision.WITHDRAWN))
    run(use_cases)
    assert grouped(use_cases) == [{first, second}]


def test_what_an_analyst_marked_different_stays_apart_until_it_is_withdrawn(
    use_cases: UseCases,
) -> None:
    ids = [ask(use_cases, one(7)) for one in (sar, sar_look, third_look)]
    run(use_cases)
    use_cases.groups.mark_different(ids[:1], ids[1:], different=True)
    run(use_cases)
    assert grouped(use_cases) == [set(ids[1:])]
    ask(use_cases, sar(7))  # a repeated question changes nothing
    run(use_cases)
    assert grouped(use_cases) == [set(ids[1:])]
    use_cases.groups.mark_different(ids, [], different=True)
    run(use_cases)
    assert groups(use_cases) == []
    use_cases.groups.mark_different(ids, [], different=False)
    run(use_cases)
    assert grouped(use_cases) == [set(ids)]


def test_only_waiting_sightings_can_be_marked_or_enrolled(use_cases: UseCases) -> None:
    first, second = ask(use_cases, sar(7)), ask(use_cases, sar_look(7))
    with pytest.raises(NotFoundError, match="no open sighting"):
        use_cases.groups.mark_different([first], [uuid4()], different=True)
    with pytest.raises(InvalidRequestError, match="2 to"):
        use_cases.groups.mark_different([first], [first], different=True)
    with pytest.raises(InvalidRequestError, match="1 to"):
        use_cases.groups.enrol([], NewVessel())
    use_cases.groups.enrol([first], NewVessel(name="STAR"))
    with pytest.raises(ConflictError, match="has a vessel already"):
        use_cases.groups.enrol([first, second], NewVessel(name="MOON"))
    assert use_cases.gallery.counts().vessels == 1


def test_a_group_becomes_a_vessel_with_its_matches_confirmed(use_cases: UseCases) -> None:
    ids = [ask(use_cases, one(7)) for one in (sar, sar_look)]
    use_cases.review.judge(
        matches_of(use_cases, ids[0])[0], NewJudgement(decision=Decision.REJECTED)
    )
    run(use_cases)
    enrolled = use_cases.groups.enrol(ids, NewVessel(name="STAR"))
    assert enrolled.created
    assert {one.id for one in enrolled.sightings} == set(ids)
    assert {one.vessel_id for one in enrolled.sightings} == {enrolled.vessel.id}
    for sighting_id in ids:
        (match_id,) = matches_of(use_cases, sighting_id)
        record = use_cases.matches.get(match_id)
        assert record is not None
        assert record.standing is Standing.CONFIRMED
        assert not record.unsettled
    assert groups(use_cases) == []
    again = use_cases.groups.enrol(ids[::-1], NewVessel(name="STAR"))
    assert (again.created, again.vessel.id) == (False, enrolled.vessel.id)


def test_pages_of_groups_hold_each_group_once(use_cases: UseCases) -> None:
    for seed in (0, 1, 8, 9, 10):  # whose vectors differ
        ask(use_cases, sar(seed))
        ask(use_cases, sar_look(seed))
    ask(use_cases, third_look(8))
    run(use_cases)
    found: list[UUID] = []
    cursor = None
    while True:
        page = use_cases.groups.page(2, cursor)
        assert page.total == 5
        found += [one.id for one in page.groups]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(set(found)) == len(found) == 5
    first = use_cases.groups.page(1, None).groups[0]
    assert first.chips == 3
    with pytest.raises(InvalidRequestError, match="cursor"):
        use_cases.groups.page(1, "rubbish")
