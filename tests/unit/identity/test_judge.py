"""What an analyst decides about a match, and whose the query sighting is then."""

from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from service.access.caller import Caller, called_by
from service.identity.curate import VesselPatch
from service.identity.enrol import NewVessel
from service.identity.errors import ConflictError, NotFoundError
from service.identity.judge import NewJudgement
from service.identity.match import MatchOptions
from service.identity.records.match_records import Decision, MatchRecord, Standing
from service.identity.records.vessels import VesselState
from tests.support.use_cases import House, optical, sar

REJECTED = NewJudgement(decision=Decision.REJECTED)
WITHDRAWN = NewJudgement(decision=Decision.WITHDRAWN)


def confirmed(vessel_id: UUID, note: str | None = None) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id, note=note)


def ask(house: House, seed: int = 5) -> MatchRecord:
    match = house.matcher.match(sar(seed), MatchOptions()).match
    kept = house.matches.get(match.id)
    assert kept is not None
    return kept


def owner(house: House, kept: MatchRecord) -> UUID | None:
    sighting = house.gallery.get_sighting(kept.match.query.id)
    assert sighting is not None
    return sighting.vessel_id


@pytest.fixture
def star(house: House) -> UUID:
    return house.enrolment.enrol(NewVessel(name="EXAMPLE STAR"), [optical(1)]).vessel.id


@pytest.fixture
def twin(house: House) -> UUID:
    return house.enrolment.enrol(NewVessel(name="TWIN"), [optical(2)]).vessel.id


def test_a_stored_match_is_remembered_as_it_was_answered(house: House, star: UUID) -> None:
    with called_by(lambda: Caller("harbour-desk")):
        match = house.matcher.match(sar(5), MatchOptions(top_k=3, vessel_type=None)).match
    remembered = house.judging.show(match.id)
    assert remembered.kept.match == match
    assert [c.vessel.id for c in remembered.kept.match.candidates] == [star]
    assert remembered.kept.asked_by == "harbour-desk"
    assert remembered.kept.options == {"top_k": 3, "store": True}
    assert remembered.kept.model.name == "fake"
    assert remembered.kept.standing is Standing.OPEN
    assert remembered.sighting == match.query


def test_a_match_that_was_not_stored_is_not_remembered(house: House) -> None:
    match = house.matcher.match(sar(5), MatchOptions(store=False)).match
    assert list(house.matches.all()) == []
    with pytest.raises(NotFoundError, match="store=false"):
        house.judging.judge(match.id, REJECTED)


def test_a_confirmed_vessel_has_the_sighting_as_evidence(house: House, star: UUID) -> None:
    kept = ask(house)
    with called_by(lambda: Caller("harbour-desk")):
        judged = house.judging.judge(kept.id, confirmed(star, note="same cranes"))
    assert judged.sighting is not None
    assert judged.sighting.vessel_id == star
    assert judged.kept.standing is Standing.CONFIRMED
    assert not judged.kept.unsettled
    [judgement] = judged.kept.judgements
    assert (judgement.by, judgement.vessel_id, judgement.note) == (
        "harbour-desk",
        star,
        "same cranes",
    )
    first = ask(house).match.candidates[0]
    assert (first.vessel.id, first.sighting.id) == (star, kept.match.query.id)


def test_any_vessel_may_be_confirmed(house: House) -> None:
    kept = ask(house)
    later = house.enrolment.enrol(NewVessel(name="ENROLLED LATER"), [optical(9)]).vessel.id
    house.judging.judge(kept.id, confirmed(later))
    assert owner(house, kept) == later


def test_asking_again_about_a_confirmed_chip_takes_it_from_nobody(house: House, star: UUID) -> None:
    kept = ask(house)
    house.judging.judge(kept.id, confirmed(star))
    again = ask(house)
    assert again.match.query.id == kept.match.query.id
    assert owner(house, again) == star


def test_rejecting_leaves_the_sighting_open(house: House, star: UUID) -> None:
    kept = ask(house)
    judged = house.judging.judge(kept.id, REJECTED)
    assert judged.kept.standing is Standing.REJECTED
    assert owner(house, kept) is None
    assert house.gallery.counts().sightings == 1


def test_withdrawing_opens_the_sighting_and_everything_said_is_remembered(
    house: House, star: UUID, twin: UUID
) -> None:
    kept = ask(house)
    said = [confirmed(star), confirmed(twin), WITHDRAWN, REJECTED, WITHDRAWN]
    owners = []
    for one in said:
        house.judging.judge(kept.id, one)
        owners.append(owner(house, kept))
    assert owners == [star, twin, None, None, None]
    found = house.judging.show(kept.id).kept
    assert [one.decision for one in found.judgements] == [one.decision for one in said]
    assert found.standing is Standing.OPEN
    assert [one.at for one in found.judgements] == sorted(one.at for one in found.judgements)


def test_nothing_can_be_withdrawn_where_nothing_stands(house: House) -> None:
    kept = ask(house)
    with pytest.raises(ConflictError, match="no judgement"):
        house.judging.judge(kept.id, WITHDRAWN)
    assert house.judging.show(kept.id).kept == kept


def test_the_latest_judgement_of_any_match_moves_the_sighting_they_share(
    house: House, star: UUID, twin: UUID
) -> None:
    first, second = ask(house), ask(house)
    house.judging.judge(first.id, confirmed(star))
    house.judging.judge(second.id, confirmed(twin))
    shown = house.judging.show(first.id)
    assert shown.kept.standing is Standing.CONFIRMED
    assert shown.sighting is not None
    assert shown.sighting.vessel_id == twin
    house.judging.judge(first.id, REJECTED)
    assert owner(house, second) is None


def test_a_vessel_that_was_merged_is_the_one_it_became_part_of(
    house: House, star: UUID, twin: UUID
) -> None:
    kept = ask(house)
    house.curation.merge(star, twin)
    judged = house.judging.judge(kept.id, confirmed(twin))
    assert judged.kept.judgements[0].vessel_id == star
    assert owner(house, kept) == star


def test_a_confirmed_sighting_goes_with_its_vessel(house: House, star: UUID, twin: UUID) -> None:
    kept = ask(house)
    house.judging.judge(kept.id, confirmed(twin))
    house.curation.merge(star, twin)
    assert owner(house, kept) == star
    sister = house.curation.split(star, [kept.match.query.id], VesselPatch(name="SISTER")).vessel
    assert owner(house, kept) == sister.id
    house.curation.delete(sister.id)
    shown = house.judging.show(kept.id)
    assert shown.sighting is None
    assert shown.kept.standing is Standing.CONFIRMED


def test_a_sighting_that_was_deleted_can_be_given_to_nobody(
    house: House, star: UUID, twin: UUID
) -> None:
    kept = ask(house)
    house.judging.judge(kept.id, confirmed(star))
    house.curation.remove_chip(star, kept.match.query.id)
    with pytest.raises(ConflictError, match="was deleted"):
        house.judging.judge(kept.id, confirmed(twin))
    assert house.judging.judge(kept.id, WITHDRAWN).sighting is None


def test_only_a_registered_vessel_can_be_confirmed(house: House, star: UUID) -> None:
    kept = ask(house)
    vessel = house.gallery.get_vessels([star])[star]
    for state in (VesselState.DELETING, VesselState.ENROLLING):
        house.gallery.put_vessel(vessel.model_copy(update={"state": state}))
        with pytest.raises(NotFoundError, match="no vessel"):
            house.judging.judge(kept.id, confirmed(star))
    with pytest.raises(NotFoundError, match="no vessel"):
        house.judging.judge(kept.id, confirmed(uuid4()))
    assert house.judging.show(kept.id).kept == kept


@pytest.mark.parametrize("note", ["-", "unknown", "bell \x07 rings", "   ", "a" * 2001])
def test_a_note_says_something(note: str) -> None:
    with pytest.raises(ValidationError):
        NewJudgement(decision=Decision.REJECTED, note=note)


def test_a_vessel_belongs_to_a_confirmation_alone() -> None:
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.CONFIRMED)
    with pytest.raises(ValidationError, match="vessel_id"):
        NewJudgement(decision=Decision.REJECTED, vessel_id=uuid4())
