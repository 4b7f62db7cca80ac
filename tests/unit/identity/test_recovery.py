"""Interrupted changes are finished or undone, also after the other vessel changed."""

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
    """Leave a merge that was interrupted after its first write."""
    deleting = {"state": VesselState.DELETING, "merged_into": survivor.id}
    use_cases.gallery.put_vessel(other.model_copy(update=deleting))


def begin_split(use_cases: UseCases, star: EnrolledVessel) -> Vessel:
    """Leave a split that was interrupted when the sighting had moved."""
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
    restored = get_visible_vessel(use_cases.gallery, twin.vessel.id)
    assert (restored.state, restored.merged_into) == (VesselState.ACTIVE, None)
    assert len(use_cases.gallery.sightings_of([restored.id])) == 1
    assert use_cases.recovery.run() == 0


def test_a_merge_into_a_vessel_that_was_merged_goes_to_its_survivor(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    third = use_cases.enrolment.enrol(NewVessel(name="THIRD"), [optical(4)]).vessel
    begin_merge(use_cases, twin.vessel, star.vessel)
    use_cases.curation.merge(third.id, star.vessel.id)
    use_cases.recovery.run()
    assert len(use_cases.gallery.sightings_of([third.id])) == 4
    assert use_cases.gallery.get_vessels([twin.vessel.id])[twin.vessel.id].merged_into == third.id


def test_a_split_from_a_vessel_that_was_deleted_is_undone_when_that_is_restored(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    new = begin_split(use_cases, star)
    use_cases.curation.delete(star.vessel.id)
    assert use_cases.recovery.run() == 1
    assert use_cases.gallery.get_vessels([new.id]) == {}
    assert use_cases.gallery.counts().sightings == 0
    restored = use_cases.curation.restore(star.vessel.id)
    assert {s.id for s in restored.sightings} == {s.id for s in star.sightings}
    assert all(s.origin_vessel_id is None for s in restored.sightings)


def test_a_split_from_a_vessel_that_was_merged_goes_back_to_the_survivor(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    begin_split(use_cases, star)
    use_cases.curation.merge(twin.vessel.id, star.vessel.id)
    use_cases.recovery.run()
    assert len(use_cases.gallery.sightings_of([twin.vessel.id])) == 3


def interrupted_removal(use_cases: UseCases, star: EnrolledVessel) -> str:
    """Delete the first sighting but not its chip; return the digest of the chip."""
    first = star.sightings[0]
    syncing = {"state": VesselState.SYNCING, "leaving_chips": (first.chip_sha256,)}
    use_cases.gallery.put_vessel(star.vessel.model_copy(update=syncing))
    use_cases.gallery.delete_sightings([first.id])
    return first.chip_sha256


def test_removing_another_chip_finishes_an_interrupted_removal(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    digest = interrupted_removal(use_cases, star)
    use_cases.curation.remove_chip(star.vessel.id, star.sightings[1].id)
    assert digest not in use_cases.chips.data


def test_deleting_the_vessel_finishes_an_interrupted_removal(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    digest = interrupted_removal(use_cases, star)
    use_cases.curation.delete(star.vessel.id)
    assert digest not in use_cases.chips.data
    assert star.sightings[1].chip_sha256 in use_cases.chips.data


def test_merging_the_vessel_finishes_an_interrupted_removal(
    use_cases: UseCases, star: EnrolledVessel, twin: EnrolledVessel
) -> None:
    digest = interrupted_removal(use_cases, star)
    use_cases.curation.merge(twin.vessel.id, star.vessel.id)
    assert digest not in use_cases.chips.data
    assert use_cases.gallery.get_vessels([star.vessel.id])[star.vessel.id].leaving_chips == ()


def test_changes_of_other_replicas_are_undone_only_after_their_time(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    """A long enrolment renews its lease; no replica may undo it meanwhile."""
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

    renewed = NameClaim(
        token=uuid4(), vessel_id=enrolling.id, made_at=began + timedelta(minutes=30)
    )
    use_cases.claims.claim(f"vessel {enrolling.id}", renewed, None)
    assert [settled_after(m) for m in (1, 4, 32, 34)] == [0, 1, 0, 1]
    assert len(use_cases.gallery.sightings_of([star.vessel.id])) == 2
    assert use_cases.gallery.get_vessels([enrolling.id]) == {}
