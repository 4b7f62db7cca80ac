from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from service.identity.curate import VesselPatch
from service.identity.enrol import EnrolledVessel, NewVessel, get_visible_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from service.identity.matching.match import MatchOptions
from service.identity.records.match_records import Decision, NewJudgement, Standing
from service.identity.records.sightings import GalleryCounts
from tests.support.use_cases import UseCases, optical, sar

STAR = NewVessel(name="EXAMPLE STAR", imo="9074729", type="bulk carrier", length_m=190)


def confirm(vessel_id: UUID) -> NewJudgement:
    return NewJudgement(decision=Decision.CONFIRMED, vessel_id=vessel_id)


@pytest.fixture
def star(use_cases: UseCases) -> EnrolledVessel:
    return use_cases.enrolment.enrol(STAR, [optical(1), optical(2)])


def test_a_patch_changes_the_sent_attributes_and_their_provenance(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    changed = use_cases.curation.update(
        star.vessel.id, VesselPatch(name="NEW NAME", length_m=None, source="registry")
    )
    assert (changed.name, changed.length_m, changed.imo) == ("NEW NAME", None, "9074729")
    assert changed.provenance["name"].source == "registry"
    assert changed.provenance["imo"].source == "api"
    assert get_visible_vessel(use_cases.gallery, star.vessel.id) == changed


def test_an_empty_patch_is_rejected(use_cases: UseCases, star: EnrolledVessel) -> None:
    with pytest.raises(InvalidRequestError):
        use_cases.curation.update(star.vessel.id, VesselPatch())


def test_a_patch_cannot_make_a_ship_wider_than_long(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    for patch in (VesselPatch(length_m=20, beam_m=60), VesselPatch(length_m=10)):
        use_cases.curation.update(star.vessel.id, VesselPatch(beam_m=32))
        with pytest.raises(InvalidRequestError, match="the beam is the width"):
            use_cases.curation.update(star.vessel.id, patch)


def test_a_patch_cannot_take_another_vessels_imo(use_cases: UseCases, star: EnrolledVessel) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)])
    with pytest.raises(ConflictError, match=str(star.vessel.id)):
        use_cases.curation.update(other.vessel.id, VesselPatch(imo="9074729"))


def test_deleting_a_vessel_opens_its_sightings_and_restoring_gives_them_back(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    asked = use_cases.matcher.match(sar(5), MatchOptions()).match
    use_cases.review.judge(asked.id, confirm(star.vessel.id))
    before = use_cases.gallery.sightings_of([star.vessel.id])
    use_cases.curation.delete(star.vessel.id)
    assert use_cases.gallery.counts() == GalleryCounts(0, 0)
    for one in before:
        opened = use_cases.gallery.get_sighting(one.id)
        assert opened == one.model_copy(update={"vessel_id": None})
        assert one.chip_sha256 in use_cases.chips.data
    said = use_cases.review.show(asked.id).record
    assert (said.standing, said.judgements[0].vessel_id) == (Standing.CONFIRMED, star.vessel.id)
    with pytest.raises(NotFoundError, match="restore"):
        use_cases.curation.delete(star.vessel.id)
    restored = use_cases.curation.restore(star.vessel.id)
    assert restored.vessel.attributes() == star.vessel.attributes()
    assert restored.vessel.former_sightings == ()
    assert list(restored.sightings) == before
    assert use_cases.curation.restore(star.vessel.id) == restored


def test_a_sighting_that_was_decided_otherwise_stays_where_it_is(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)]).vessel
    asked = [use_cases.matcher.match(sar(seed), MatchOptions()).match for seed in (5, 6, 7)]
    for match in asked:
        use_cases.review.judge(match.id, confirm(star.vessel.id))
    use_cases.curation.delete(star.vessel.id)
    use_cases.review.judge(asked[0].id, NewJudgement(decision=Decision.WITHDRAWN))
    use_cases.review.judge(asked[1].id, confirm(other.id))
    restored = use_cases.curation.restore(star.vessel.id)
    ids = {one.id for one in restored.sightings}
    assert ids == {*(s.id for s in star.sightings), asked[2].query.id}
    (warning,) = restored.warnings
    assert warning.startswith(f"2 of its {len(star.sightings) + 3} former chips did not come back")
    moved = use_cases.gallery.get_sighting(asked[1].query.id)
    assert moved is not None
    assert moved.vessel_id == other.id


def test_a_deletion_can_be_undone_for_a_set_time(use_cases: UseCases, star: EnrolledVessel) -> None:
    use_cases.curation.delete(star.vessel.id)
    tombstone = use_cases.gallery.get_vessels([star.vessel.id])[star.vessel.id]
    long_ago = tombstone.updated_at - timedelta(days=31)
    use_cases.gallery.put_vessel(tombstone.model_copy(update={"updated_at": long_ago}))
    with pytest.raises(ConflictError, match="can be undone for 30 days"):
        use_cases.curation.restore(star.vessel.id)
    with pytest.raises(NotFoundError):
        use_cases.curation.restore(UUID(int=7))


def test_a_vessel_whose_number_was_taken_since_is_not_restored(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    use_cases.curation.delete(star.vessel.id)
    use_cases.enrolment.enrol(NewVessel(name="OTHER", imo=star.vessel.imo), [optical(9)])
    with pytest.raises(ConflictError, match="registered already"):
        use_cases.curation.restore(star.vessel.id)


def test_a_deleted_vessel_can_be_registered_again(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    use_cases.curation.delete(star.vessel.id)
    new = NewVessel(id=star.vessel.id, name="AGAIN")
    again = use_cases.enrolment.enrol(new, [optical(1)])
    assert again.created
    assert [s.id for s in again.sightings] == [
        s.id for s in star.sightings if s.chip_sha256 == optical(1).digest
    ]
    (warning,) = again.warnings
    assert "was deleted on 2026-01-01" in warning
    assert f"its {len(star.sightings)} former chips do not come back" in warning
    assert use_cases.enrolment.enrol(new, [optical(1)]).warnings == ()


def test_merges_and_splits_leave_the_origin_of_each_sighting(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)])
    merged = use_cases.curation.merge(star.vessel.id, other.vessel.id)
    origins = {s.id: s.origin_vessel_id for s in merged.sightings}
    assert origins[other.sightings[0].id] == other.vessel.id
    assert all(origins[s.id] is None for s in star.sightings)
    chosen = [star.sightings[0].id, other.sightings[0].id]
    split = use_cases.curation.split(star.vessel.id, chosen, VesselPatch(name="SISTER"))
    origins = {s.id: s.origin_vessel_id for s in split.sightings}
    assert origins == dict(zip(chosen, [star.vessel.id, other.vessel.id], strict=True))
    back = use_cases.curation.merge(star.vessel.id, split.vessel.id)
    assert {s.id: s.origin_vessel_id for s in back.sightings}[chosen[0]] is None


def test_a_merge_keeps_the_evidence_of_a_match_beside_the_same_chip(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)]).vessel
    asked = use_cases.matcher.match(optical(1), MatchOptions()).match
    use_cases.review.judge(asked.id, confirm(other.id))
    merged = use_cases.curation.merge(star.vessel.id, other.id)
    assert asked.query.id in {s.id for s in merged.sightings}


def test_removing_a_chip_deletes_its_sighting_and_bytes(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    first, second = star.sightings
    use_cases.curation.remove_chip(star.vessel.id, first.id)
    assert [s.id for s in use_cases.gallery.sightings_of([star.vessel.id])] == [second.id]
    assert first.chip_sha256 not in use_cases.chips.data
    with pytest.raises(NotFoundError):
        use_cases.curation.remove_chip(star.vessel.id, first.id)


def test_a_merge_moves_sightings_and_fills_unknown_attributes(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="TWIN", flag="PA"), [optical(2), optical(3)])
    merged = use_cases.curation.merge(star.vessel.id, other.vessel.id)
    assert len(merged.sightings) == 3
    assert (merged.vessel.name, merged.vessel.flag) == ("EXAMPLE STAR", "PA")
    with pytest.raises(NotFoundError, match=str(star.vessel.id)):
        get_visible_vessel(use_cases.gallery, other.vessel.id)


def test_vessels_with_different_imo_numbers_cannot_be_merged(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(imo="9176187"), [optical(3)])
    with pytest.raises(ConflictError, match="9176187"):
        use_cases.curation.merge(star.vessel.id, other.vessel.id)
    with pytest.raises(InvalidRequestError):
        use_cases.curation.merge(star.vessel.id, star.vessel.id)


def test_repeating_the_enrolment_of_a_merged_vessel_names_the_survivor(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    twin = NewVessel(name="TWIN")
    other = use_cases.enrolment.enrol(twin, [optical(3)])
    use_cases.curation.merge(star.vessel.id, other.vessel.id)
    with pytest.raises(ConflictError, match=str(star.vessel.id)):
        use_cases.enrolment.enrol(twin, [optical(3)])


def test_a_split_moves_sightings_to_a_new_vessel(use_cases: UseCases, star: EnrolledVessel) -> None:
    moved, staying = star.sightings
    new = use_cases.curation.split(star.vessel.id, [moved.id], VesselPatch(name="SISTER"))
    assert [s.id for s in new.sightings] == [moved.id]
    assert new.vessel.split_from == star.vessel.id
    assert [s.id for s in use_cases.gallery.sightings_of([star.vessel.id])] == [staying.id]


def test_a_split_of_all_or_unknown_sightings_is_rejected(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    with pytest.raises(InvalidRequestError):
        use_cases.curation.split(star.vessel.id, [s.id for s in star.sightings], VesselPatch())
    with pytest.raises(NotFoundError):
        use_cases.curation.split(star.vessel.id, [uuid4()], VesselPatch())
