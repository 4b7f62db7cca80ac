"""What an analyst decides about a match, and whose the query sighting is then."""

from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from service.access.caller import Caller, called_by
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError
from service.identity.review import NewJudgement
from service.identity.match import MatchOptions
from service.identity.records.match_records import Decision, MatchRecord, Standing
from service.identity.records.vessels import VesselState
from tests.support.use_cases import UseCases, optical, sar

REJECTED = NewJudgement(decision=Decision.REJECTED)
WITHDRAWN = NewJudgement(decision=Decision.WITHDRAWN)


def confirmed(vessel_id: UUID, note: str | None = None) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id, note=note)


def ask(use_cases: UseCases, seed: int = 5) -> MatchRecord:
    match = use_cases.matcher.match(sar(seed), MatchOptions()).match
    kept = use_cases.matches.get(match.id)
    assert kept is not None
    return kept


def owner(use_cases: UseCases, kept: MatchRecord) -> UUID | None:
    sighting = use_cases.gallery.get_sighting(kept.match.query.id)
    assert sighting is not None
    return sighting.vessel_id


@pytest.fixture
def star(use_cases: UseCases) -> UUID:
    return use_cases.enrolment.enrol(NewVessel(name="EXAMPLE STAR"), [optical(1)]).vessel.id


@pytest.fixture
def twin(use_cases: UseCases) -> UUID:
    return use_cases.enrolment.enrol(NewVessel(name="TWIN"), [optical(2)]).vessel.id


def test_a_stored_match_is_remembered_as_it_was_answered(use_cases: UseCases, star: UUID) -> None:
    with called_by(lambda: Caller("harbour-desk")):
        match = use_cases.matcher.match(sar(5), MatchOptions(top_k=3, vessel_type=None)).match
    remembered = use_cases.review.show(match.id)
    assert remembered.record.match == match
    assert [c.vessel.id for c in remembered.record.match.candidates] == [star]
    assert remembered.record.asked_by == "harbour-desk"
    assert remembered.record.options == {"top_k": 3, "store": True}
    assert remembered.record.model.name == "fake"
    assert remembered.record.standing is Standing.OPEN
    assert remembered.sighting == match.query


def test_a_match_that_was_not_stored_is_not_remembered(use_cases: UseCases) -> None:
    match = use_cases.matcher.match(sar(5), MatchOptions(store=False)).match
    assert list(use_cases.matches.all()) == []
    with pytest.raises(NotFoundError, match="store=false"):
        use_cases.review.judge(match.id, REJECTED)


def test_a_confirmed_vessel_has_the_sighting_as_evidence(use_cases: UseCases, star: UUID) -> None:
    kept = ask(use_cases)
    with called_by(lambda: Caller("harbour-desk")):
        judged = use_cases.review.judge(kept.id, confirmed(star, note="same cranes"))
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
    first = ask(use_cases).match.candidates[0]
    assert (first.vessel.id, first.sighting.id) == (star, kept.match.query.id)


def test_any_vessel_may_be_confirmed(use_cases: UseCases) -> None:
    kept = ask(use_cases)
    later = use_cases.enrolment.enrol(NewVessel(name="ENROLLED LATER"), [optical(9)]).vessel.id
    use_cases.review.judge(kept.id, confirmed(later))
    assert owner(use_cases, kept) == later


def test_asking_again_about_a_confirmed_chip_takes_it_from_nobody(use_cases: UseCases, star: UUID) -> None:
    kept = ask(use_cases)
    use_cases.review.judge(kept.id, confirmed(star))
    again = ask(use_cases)
    assert again.match.query.id == kept.match.query.id
    assert owner(use_cases, again) == star


def test_rejecting_leaves_the_sighting_open(use_cases: UseCases, star: UUID) -> None:
    kept = ask(use_cases)
    judged = use_cases.review.judge(kept.id, REJECTED)
    assert judged.record.standing is Standing.REJECTED
    assert owner(use_cases, kept) is None
    assert use_cases.gallery.counts().sightings == 1


def test_withdrawing_opens_the_sighting_and_everything_said_is_remembered(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    kept = ask(use_cases)
    said = [confirmed(star), confirmed(twin), WITHDRAWN, REJECTED, WITHDRAWN]
    owners = []
    for one in said:
        use_cases.review.judge(kept.id, one)
        owners.append(owner(use_cases, kept))
    assert owners == [star, twin, None, None, None]
    found = use_cases.review.show(kept.id).record
    assert [one.decision for one in found.judgements] == [one.decision for one in said]
    assert found.standing is Standing.OPEN
    assert [one.at for one in found.judgements] == sorted(one.at for one in found.judgements)


def test_nothing_can_be_withdrawn_where_nothing_stands(use_cases: UseCases) -> None:
    kept = ask(use_cases)
    with pytest.raises(ConflictError, match="no judgement"):
        use_cases.review.judge(kept.id, WITHDRAWN)
    assert use_cases.review.show(kept.id).record == kept


def test_the_latest_judgement_of_any_match_moves_the_sighting_they_share(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    first, second = ask(use_cases), ask(use_cases)
    use_cases.review.judge(first.id, confirmed(star))
    use_cases.review.judge(second.id, confirmed(twin))
    shown = use_cases.review.show(first.id)
    assert shown.record.standing is Standing.CONFIRMED
    assert shown.sighting is not None
    assert shown.sighting.vessel_id == twin
    use_cases.review.judge(first.id, REJECTED)
    assert owner(use_cases, second) is None


def test_a_vessel_that_was_merged_is_the_one_it_became_part_of(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    kept = ask(use_cases)
    use_cases.curation.merge(star, twin)
    judged = use_cases.review.judge(kept.id, confirmed(twin))
    assert judged.record.judgements[0].vessel_id == star
    assert owner(use_cases, kept) == star


def test_a_confirmed_sighting_goes_with_its_vessel(use_cases: UseCases, star: UUID, twin: UUID) -> None:
    kept = ask(use_cases)
    use_cases.review.judge(kept.id, confirmed(twin))
    use_cases.curation.merge(star, twin)
    assert owner(use_cases, kept) == star
    sister = use_cases.curation.split(star, [kept.match.query.id], VesselPatch(name="SISTER")).vessel
    assert owner(use_cases, kept) == sister.id
    use_cases.curation.delete(sister.id)
    shown = use_cases.review.show(kept.id)
    assert shown.sighting is None
    assert shown.record.standing is Standing.CONFIRMED


def test_a_sighting_that_was_deleted_can_be_given_to_nobody(
    use_cases: UseCases, star: UUID, twin: UUID
) -> None:
    kept = ask(use_cases)
    use_cases.review.judge(kept.id, confirmed(star))
    use_cases.curation.remove_chip(star, kept.match.query.id)
    with pytest.raises(ConflictError, match="was deleted"):
        use_cases.review.judge(kept.id, confirmed(twin))
    assert use_cases.review.judge(kept.id, WITHDRAWN).sighting is None


def test_only_a_registered_vessel_can_be_confirmed(use_cases: UseCases, star: UUID) -> None:
    kept = ask(use_cases)
    vessel = use_cases.gallery.get_vessels([star])[star]
    for state in (VesselState.DELETING, VesselState.ENROLLING):
        use_cases.gallery.put_vessel(vessel.model_copy(update={"state": state}))
        with pytest.raises(NotFoundError, match="no vessel"):
            use_cases.review.judge(kept.id, confirmed(star))
    with pytest.raises(NotFoundError, match="no vessel"):
        use_cases.review.judge(kept.id, confirmed(uuid4()))
    assert use_cases.review.show(kept.id).record == kept


@pytest.mark.parametrize("note", ["-", "unknown", "bell \x07 rings", "   ", "a" * 2001])
def test_a_note_says_something(note: str) -> None:
    with pytest.raises(ValidationError):
        NewJudgement(decision=Decision.REJECTED, note=note)


def test_a_vessel_belongs_to_a_confirmation_alone() -> None:
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.CONFIRMED)
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.REJECTED, vessel_id=uuid4())
