from uuid import uuid4

import pytest

from service.identity.curate import VesselPatch
from service.identity.enrol import EnrolledVessel, NewVessel, get_visible_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from tests.support.use_cases import UseCases, optical

STAR = NewVessel(name="EXAMPLE STAR", imo="9074729", type="bulk carrier", length_m=190)


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


def test_a_patch_cannot_take_another_vessels_imo(use_cases: UseCases, star: EnrolledVessel) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)])
    with pytest.raises(ConflictError, match=str(star.vessel.id)):
        use_cases.curation.update(other.vessel.id, VesselPatch(imo="9074729"))


def test_deleting_a_vessel_deletes_its_chips_but_not_shared_ones(
    use_cases: UseCases, star: EnrolledVessel
) -> None:
    other = use_cases.enrolment.enrol(NewVessel(name="OTHER"), [optical(2)])
    use_cases.curation.delete(star.vessel.id)
    assert set(use_cases.chips.data) == {other.sightings[0].chip_sha256}
    with pytest.raises(NotFoundError):
        use_cases.curation.delete(star.vessel.id)


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
