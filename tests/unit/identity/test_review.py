"""Judgements of a match decide to which vessel its query sighting belongs."""

from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from service.access.caller import Caller, called_by
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError
from service.identity.matching.match import MatchOptions
from service.identity.records.match_records import (
    Decision,
    MatchFilter,
    MatchRecord,
    NewJudgement,
    Standing,
)
from service.identity.records.vessels import VesselState
from service.identity.uploads import ChipMetadata, ChipUpload
from tests.support.inputs.chips import sar_tiff
from tests.support.use_cases import UseCases, optical, sar, sar_look

REJECTED = NewJudgement(decision=Decision.REJECTED)
WITHDRAWN = NewJudgement(decision=Decision.WITHDRAWN)


def confirmed(vessel_id: UUID, note: str | None = None) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id, note=note)


def make_match(use_cases: UseCases, seed: int = 5) -> MatchRecord:
    match = use_cases.matcher.match(sar(seed), MatchOptions()).match
    record = use_cases.matches.get(match.id)
    assert record is not None
    return record


def owner_of(use_cases: UseCases, record: MatchRecord) -> UUID | None:
    sighting = use_cases.gallery.get_sighting(record.match.query.id)
    assert sighting is not None
    return sighting.vessel_id


@pytest.fixture
def star(use_cases: UseCases) -> UUID:
    return use_cases.enrolment.enrol(NewVessel(name="EXAMPLE STAR"), [optical(1)]).vessel.id


@pytest.fixture
def twin(use_cases: UseCases) -> UUID:
    return use_cases.enrolment.enrol(NewVessel(name="TWIN"), [optical(2)]).vessel.id


def test_a_match_record_holds_the_match_as_it_was_answered(use_cases: UseCases, star: UUID) -> None:
    with called_by(lambda: Caller("harbour-desk")):
        match = use_cases.matcher.match(sar(5), MatchOptions(top_k=3, vessel_type=None)).match
    detail = use_cases.review.show(match.id)
    assert detail.record.match == match
    assert [c.vessel.id for c in detail.record.match.candidates] == [star]
    assert detail.record.asked_by == "harbour-desk"
    assert detail.record.options == {"top_k": 3, "store": True}
    assert detail.record.model.name == "fake"
    assert detail.record.standing is Standing.OPEN
    assert detail.sighting == match.query


def test_a_match_with_store_false_has_no_record(use_cases: UseCases) -> None:
    match = use_cases.matcher.match(sar(5), MatchOptions(store=False)).match
    assert list(use_cases.matches.all()) == []
    with pytest.raises(NotFoundError, match="store=false"):
        use_cases.review.judge(match.id, REJECTED)


def test_confirming_assigns_the_sighting_to_the_vessel(use_cases: UseCases, star: UUID) -> None:
    record = make_match(use_cases)
    with called_by(lambda: Caller("harbour-desk")):
        judged = use_cases.review.judge(record.id, confirmed(star, note="same cranes"))
    assert judged.sighting is not None
    assert judged.sighting.vessel_id == star
    assert judged.record.standing is Standing.CONFIRMED
    assert not judged.record.unsettled
    [judgement] = judged.record.judgements
    assert (judgement.by, judgement.vessel_id, judgement.note) == (
        "harbour-desk",
        star,
        "same cranes",
    )
    look = use_cases.matcher.match(sar_look(5), MatchOptions()).match.candidates[0]
    assert (look.vessel.id, look.sighting.id) == (star, record.match.query.id)


def test_a_vessel_that_is_no_candidate_can_be_confirmed(use_cases: UseCases) -> None:
    record = make_match(use_cases)
    later = use_cases.enrolment.enrol(NewVessel(name="ENROLLED LATER"), [optical(9)]).vessel.id
    use_cases.review.judge(record.id, confirmed(later))
    assert owner_of(use_cases, record) == later


def test_matching_a_confirmed_chip_again_keeps_its_vessel(use_cases: UseCases, star: UUID) -> None:
    record = make_match(use_cases)
    use_cases.review.judge(record.id, confirmed(star))
    again = make_match(use_cases)
    assert again.match.query.id == record.match.query.id
    assert owner_of(use_cases, again) == star


def test_rejecting_leaves_the_sighting_without_a_vessel(use_cases: UseCases, star: UUID) -> None:
    record = make_match(use_cases)
    judged = use_cases.review.judge(record.id, REJECTED)
    assert judged.record.standing is Standing.REJECTED
    assert owner_of(use_cases, record) is None
    assert use_cases.gallery.counts().sightings == 1


def test_withdrawing_takes_the_vessel_away_and_all_judgements_are_recorded(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    record = make_match(use_cases)
    judgements = [confirmed(star), confirmed(twin), WITHDRAWN, REJECTED, WITHDRAWN]
    owners = []
    for one in judgements:
        use_cases.review.judge(record.id, one)
        owners.append(owner_of(use_cases, record))
    assert owners == [star, twin, None, None, None]
    found = use_cases.review.show(record.id).record
    assert [one.decision for one in found.judgements] == [one.decision for one in judgements]
    assert found.standing is Standing.OPEN
    assert [one.at for one in found.judgements] == sorted(one.at for one in found.judgements)


def test_withdrawing_without_a_judgement_is_rejected(use_cases: UseCases) -> None:
    record = make_match(use_cases)
    with pytest.raises(ConflictError, match="no judgement"):
        use_cases.review.judge(record.id, WITHDRAWN)
    assert use_cases.review.show(record.id).record == record


def test_the_latest_confirmation_of_any_match_decides_about_a_shared_sighting(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    first, second, third = (make_match(use_cases) for _ in range(3))
    use_cases.review.judge(first.id, confirmed(star))
    use_cases.review.judge(third.id, REJECTED)
    assert owner_of(use_cases, first) == star
    use_cases.review.judge(second.id, confirmed(twin))
    shown = use_cases.review.show(first.id)
    assert shown.record.standing is Standing.CONFIRMED
    assert shown.sighting is not None
    assert shown.sighting.vessel_id == twin
    use_cases.review.judge(second.id, WITHDRAWN)
    assert owner_of(use_cases, first) == star
    use_cases.review.judge(first.id, REJECTED)
    assert owner_of(use_cases, first) is None


def test_a_match_keeps_its_facts_when_the_chip_is_asked_about_again(
    use_cases: UseCases, star: UUID
) -> None:
    def ask(name: str, **facts: object) -> MatchRecord:
        metadata = ChipMetadata.model_validate(facts)
        upload = ChipUpload(sar_tiff(5), metadata, name)
        record = use_cases.matches.get(use_cases.matcher.match(upload, MatchOptions()).match.id)
        assert record is not None
        return record

    time = "2026-03-05T10:00:00Z"
    first = ask("a.tif", gsd_m=1.0, lat=1.0, lon=2.0, captured_at=time, case="C 1", note="at dawn")
    other = ask("b.tif", gsd_m=2.0, lat=50.0, lon=60.0, captured_at="2026-04-01", sensor="S-2")
    renamed = ask(
        "c.tif", gsd_m=1.0, lat=1.0, lon=2.0, captured_at=time, case="C 1", note="at dawn"
    )
    assert len({one.match.query.id for one in (first, other, renamed)}) == 3
    use_cases.review.judge(first.id, confirmed(star))
    use_cases.review.judge(other.id, REJECTED)
    [_, kept] = use_cases.gallery.sightings_of([star])
    assert kept == first.match.query.model_copy(update={"vessel_id": star})
    assert (kept.file_name, kept.case, kept.note) == ("a.tif", "C 1", "at dawn")
    assert owner_of(use_cases, other) is None


def test_a_sighting_that_was_split_off_stays_when_another_match_is_rejected(
    use_cases: UseCases, star: UUID
) -> None:
    first, second = make_match(use_cases), make_match(use_cases)
    use_cases.review.judge(first.id, confirmed(star))
    sister = use_cases.curation.split(star, [first.match.query.id], VesselPatch(name="SISTER"))
    use_cases.review.judge(second.id, REJECTED)
    assert owner_of(use_cases, first) == sister.vessel.id


def test_confirming_a_merged_vessel_confirms_its_survivor(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    record = make_match(use_cases)
    use_cases.curation.merge(star, twin)
    judged = use_cases.review.judge(record.id, confirmed(twin))
    assert judged.record.judgements[0].vessel_id == star
    assert owner_of(use_cases, record) == star


def test_a_vessel_has_the_matches_of_those_that_were_merged_into_it(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    third = use_cases.enrolment.enrol(NewVessel(name="THIRD"), [optical(9)]).vessel.id
    use_cases.curation.merge(twin, third)
    use_cases.curation.merge(star, twin)

    def merged(vessel_id: UUID) -> set[UUID]:
        return {*use_cases.review.with_merged(MatchFilter(vessel_id=vessel_id)).merged_ids}

    assert merged(star) == {twin, third}
    assert merged(twin) == {third}
    assert merged(third) == set()


def test_a_confirmed_sighting_follows_merges_splits_and_deletions(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    record = make_match(use_cases)
    use_cases.review.judge(record.id, confirmed(twin))
    use_cases.curation.merge(star, twin)
    assert owner_of(use_cases, record) == star
    sister = use_cases.curation.split(
        star, [record.match.query.id], VesselPatch(name="SISTER")
    ).vessel
    assert owner_of(use_cases, record) == sister.id
    use_cases.curation.delete(sister.id)
    shown = use_cases.review.show(record.id)
    assert shown.sighting is not None
    assert shown.sighting.vessel_id is None
    assert shown.record.standing is Standing.CONFIRMED


def test_a_deleted_sighting_cannot_be_assigned(use_cases: UseCases, star: UUID, twin: UUID) -> None:
    record = make_match(use_cases)
    use_cases.review.judge(record.id, confirmed(star))
    use_cases.curation.remove_chip(star, record.match.query.id)
    with pytest.raises(ConflictError, match="was deleted"):
        use_cases.review.judge(record.id, confirmed(twin))
    assert use_cases.review.judge(record.id, WITHDRAWN).sighting is None


def test_only_a_registered_vessel_can_be_confirmed(use_cases: UseCases, star: UUID) -> None:
    record = make_match(use_cases)
    vessel = use_cases.gallery.get_vessels([star])[star]
    for state in (VesselState.DELETING, VesselState.ENROLLING):
        use_cases.gallery.put_vessel(vessel.model_copy(update={"state": state}))
        with pytest.raises(NotFoundError, match="no vessel"):
            use_cases.review.judge(record.id, confirmed(star))
    with pytest.raises(NotFoundError, match="no vessel"):
        use_cases.review.judge(record.id, confirmed(uuid4()))
    assert use_cases.review.show(record.id).record == record


def test_a_deleted_vessel_is_said_to_be_deleted_when_it_is_confirmed(
    use_cases: UseCases, star: UUID
) -> None:
    record = make_match(use_cases)
    use_cases.curation.delete(star)
    with pytest.raises(NotFoundError, match=f"it was deleted, and POST /gallery/{star}/restore"):
        use_cases.review.judge(record.id, confirmed(star))


@pytest.mark.parametrize("note", ["", "bell \x07 rings", "   ", "a" * 2001])
def test_an_unusable_note_is_rejected(note: str) -> None:
    with pytest.raises(ValidationError):
        NewJudgement(decision=Decision.REJECTED, note=note)


def test_a_judgement_is_refused_when_another_one_was_made_unseen(
    use_cases: UseCases, star: UUID
) -> None:
    record = make_match(use_cases)
    with called_by(lambda: Caller("ann")):
        use_cases.review.judge(record.id, confirmed(star).model_copy(update={"seen": 0}))
    unseen = REJECTED.model_copy(update={"seen": 0})
    with pytest.raises(ConflictError, match="was confirmed by ann, after you looked at it"):
        use_cases.review.judge(record.id, unseen)
    assert owner_of(use_cases, record) == star
    seen = use_cases.review.judge(record.id, REJECTED.model_copy(update={"seen": 1}))
    assert seen.record.standing is Standing.REJECTED


def test_a_vessel_is_named_exactly_when_the_decision_is_confirmed() -> None:
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.CONFIRMED)
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.REJECTED, vessel_id=uuid4())


def owners_of(use_cases: UseCases, record: MatchRecord) -> list[UUID | None]:
    sightings = [use_cases.gallery.get_sighting(one) for one in record.match.sighting_ids]
    return [one.vessel_id for one in sightings if one is not None]


def make_match_of_three(use_cases: UseCases) -> MatchRecord:
    match = use_cases.matcher.match(sar(5), MatchOptions(), [sar(6), sar(7)]).match
    record = use_cases.matches.get(match.id)
    assert record is not None
    return record


def test_a_judgement_holds_for_all_chips_of_the_ship(use_cases: UseCases, star: UUID) -> None:
    record = make_match_of_three(use_cases)
    assert owners_of(use_cases, record) == [None] * 3
    use_cases.review.judge(record.id, confirmed(star))
    assert owners_of(use_cases, record) == [star] * 3
    use_cases.review.judge(record.id, WITHDRAWN)
    assert owners_of(use_cases, record) == [None] * 3


def test_a_chip_of_several_keeps_the_vessel_of_its_own_match(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    record, alone = make_match_of_three(use_cases), make_match(use_cases, seed=6)
    assert alone.match.query.id == record.match.sighting_ids[1]
    use_cases.review.judge(alone.id, confirmed(twin))
    use_cases.review.judge(record.id, confirmed(star))
    assert owners_of(use_cases, record) == [star] * 3
    use_cases.review.judge(record.id, REJECTED)
    assert owners_of(use_cases, record) == [None, twin, None]


def test_no_chip_of_several_is_judged_twice_at_once(use_cases: UseCases, star: UUID) -> None:
    record = make_match_of_three(use_cases)
    for sighting_id in record.match.sighting_ids:
        with (
            use_cases.recovery.leases.for_judgement(sighting_id),
            pytest.raises(ConflictError, match="judged"),
        ):
            use_cases.review.judge(record.id, confirmed(star))
    assert owners_of(use_cases, record) == [None] * 3
