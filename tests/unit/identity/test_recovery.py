"""Interrupted changes whose other end is no longer what it was."""

from datetime import timedelta
from uuid import uuid4

import pytest

from service.identity.curate import VesselPatch
from service.identity.enrol import EnrolledVessel, NewVessel, get_visible_vessel
from service.identity.records.claims import NameClaim
from service.identity.records.vessels import Vessel, VesselState
from service.identity.recovery import Recovery
from tests.support.use_cases import UseCases, make_context, optical


@pytest.fixture
def star(use_cases: UseCases) -> EnrolledVessel:
    return use_cases.enrolment.enrol(NewVessel(name="EXAMPLE STAR"), [optical(1), optical(2)])


@pytest.fixture
def twin(use_cases: UseCases) -> EnrolledVessel:
    return use_cases.enrolment.enrol(NewVessel(name="TWIN"), [optical(3)])


def begin_merge(use_cases: UseCases, other: Vessel, survivor: Vessel) -> None:
    """A merge that was cut off after its first write."""
    leaving = {"state": VesselState.DELETING, "merged_into": survivor.id}
    use_cases.gallery.put_vessel(other.model_copy(update=leaving))


def begin_split(use_cases: UseCases, star: EnrolledVessel) -> Vessel:
    """A split that was cut off when the sighting had moved."""
    moved = [star.sightings[0].id]
    new = use_cases.curation.split(star.vessel.id, moved, VesselPatch(name="SISTER")).vessel
    use_cases.gallery.put_vessel(new.model_copy(update={"state": VesselState.ENROLLING}))
    return new


def test_a_merge_into_a_vessel_that_was_deleted_is_undone(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    begin_merge(use_cases, twin.vessel, star.vessel)
    use_cases.curation.delete(star.vessel.id)
    assert use_cases.recovery.run() == 1
    back = get_visible_vessel(use_cases.gallery, twin.vessel.id)
    assert (back.state, back.merged_into) == (VesselState.ACTIVE, None)
    assert len(use_cases.gallery.sightings_of([back.id])) == 1
    assert use_cases.recovery.run() == 0


def test_a_merge_into_a_vessel_that_was_merged_itself_follows_it(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    third = use_cases.enrolment.enrol(NewVessel(name="THIRD"), [optical(4)]).vessel
    begin_merge(use_cases, twin.vessel, star.vessel)
    use_cases.curation.merge(third.id, star.vessel.id)
    use_cases.recovery.run()
    assert len(use_cases.gallery.sightings_of([third.id])) == 4
    assert use_cases.gallery.get_vessels([twin.vessel.id])[twin.vessel.id].merged_into == third.id


def test_a_split_from_a_vessel_that_was_deleted_takes_its_sightings_along(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    new = begin_split(use_cases, star)
    use_cases.curation.delete(star.vessel.id)
    assert use_cases.recovery.run() == 1
    assert use_cases.gallery.get_vessels([new.id]) == {}
    assert use_cases.gallery.counts().sightings == 0
    assert use_cases.chips.kept == {}


def test_a_split_from_a_vessel_that_was_merged_goes_back_to_the_survivor(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    begin_split(use_cases, star)
    use_cases.curation.merge(twin.vessel.id, star.vessel.id)
    use_cases.recovery.run()
    assert len(use_cases.gallery.sightings_of([twin.vessel.id])) == 3


def interrupted_removal(use_cases: UseCases, star: EnrolledVessel) -> str:
    """One chip's sighting is gone and its bytes are not yet; returns their digest."""
    first = star.sightings[0]
    losing = {"state": VesselState.SYNCING, "leaving_chips": (first.chip_sha256,)}
    use_cases.gallery.put_vessel(star.vessel.model_copy(update=losing))
    use_cases.gallery.delete_sightings([first.id])
    return first.chip_sha256


def test_removing_another_chip_forgets_what_an_interrupted_removal_left(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    left = interrupted_removal(use_cases, star)
    use_cases.curation.remove_chip(star.vessel.id, star.sightings[1].id)
    assert left not in use_cases.chips.kept


def test_deleting_forgets_what_an_interrupted_removal_left(use_cases: UseCases, star: EnrolledVessel) -> None:
    interrupted_removal(use_cases, star)
    use_cases.curation.delete(star.vessel.id)
    assert use_cases.chips.kept == {}


def test_merging_forgets_what_an_interrupted_removal_left(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    left = interrupted_removal(use_cases, star)
    use_cases.curation.merge(twin.vessel.id, star.vessel.id)
    assert left not in use_cases.chips.kept
    assert use_cases.gallery.get_vessels([star.vessel.id])[star.vessel.id].leaving_chips == ()


def test_where_others_write_a_change_has_its_time(use_cases: UseCases, star: EnrolledVessel) -> None:
    """An enrolment that keeps many chips renews its claim; nobody may undo it meanwhile."""
    began = begin_split(use_cases, star).updated_at
    enrolling = Vessel(id=uuid4(), created_at=began, updated_at=began, state=VesselState.ENROLLING)
    use_cases.gallery.put_vessel(enrolling)

    def settled_after(minutes: float) -> int:
        context = make_context(
            use_cases.gallery,
            use_cases.chips,
            claims=use_cases.claims,
            now=lambda: began + timedelta(minutes=minutes),
        )
        return Recovery(context, step=timedelta(minutes=1)).run()

    at_work = NameClaim(
        token=uuid4(), vessel_id=enrolling.id, made_at=began + timedelta(minutes=30)
    )
    use_cases.claims.claim(f"vessel {enrolling.id}", at_work, None)
    assert [settled_after(m) for m in (1, 4, 32, 34)] == [0, 1, 0, 1]
    assert len(use_cases.gallery.sightings_of([star.vessel.id])) == 2
    assert use_cases.gallery.get_vessels([enrolling.id]) == {}
