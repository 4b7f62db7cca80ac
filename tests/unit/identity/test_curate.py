from uuid import uuid4

import pytest

from service.identity.curate import VesselPatch
from service.identity.enrol import Enrolled, NewVessel, visible_vessel
from service.identity.errors import ConflictError, InvalidRequestError, NotFoundError
from tests.support.use_cases import House, optical

STAR = NewVessel(name="EXAMPLE STAR", imo="9074729", type="bulk carrier", length_m=190)


@pytest.fixture
def star(house: House) -> Enrolled:
    return house.enrolment.enrol(STAR, [optical(1), optical(2)])


def test_a_patch_changes_what_was_sent_and_remembers_where_it_came_from(
    house: House, star: Enrolled
) -> None:
    changed = house.curation.update(
        star.vessel.id, VesselPatch(name="NEW NAME", length_m=None, source="registry")
    )
    assert (changed.name, changed.length_m, changed.imo) == ("NEW NAME", None, "9074729")
    assert changed.provenance["name"].source == "registry"
    assert changed.provenance["imo"].source == "api"
    assert visible_vessel(house.gallery, star.vessel.id) == changed


def test_an_empty_patch_is_refused(house: House, star: Enrolled) -> None:
    with pytest.raises(InvalidRequestError):
        house.curation.update(star.vessel.id, VesselPatch())


def test_a_patch_cannot_take_another_vessels_imo(house: House, star: Enrolled) -> None:
    other = house.enrolment.enrol(NewVessel(name="OTHER"), [optical(9)])
    with pytest.raises(ConflictError, match=str(star.vessel.id)):
        house.curation.update(other.vessel.id, VesselPatch(imo="9074729"))


def test_deleting_a_vessel_forgets_its_chips_but_not_shared_ones(
    house: House, star: Enrolled
) -> None:
    other = house.enrolment.enrol(NewVessel(name="OTHER"), [optical(2)])
    house.curation.delete(star.vessel.id)
    assert set(house.chips.kept) == {other.sightings[0].chip_sha256}
    with pytest.raises(NotFoundError):
        house.curation.delete(star.vessel.id)


def test_one_chip_is_removed(house: House, star: Enrolled) -> None:
    first, second = star.sightings
    house.curation.remove_chip(star.vessel.id, first.id)
    assert [s.id for s in house.gallery.sightings_of([star.vessel.id])] == [second.id]
    assert first.chip_sha256 not in house.chips.kept
    with pytest.raises(NotFoundError):
        house.curation.remove_chip(star.vessel.id, first.id)


def test_a_merge_moves_sightings_and_fills_gaps(house: House, star: Enrolled) -> None:
    other = house.enrolment.enrol(NewVessel(name="TWIN", flag="PA"), [optical(2), optical(3)])
    merged = house.curation.merge(star.vessel.id, other.vessel.id)
    assert len(merged.sightings) == 3
    assert (merged.vessel.name, merged.vessel.flag) == ("EXAMPLE STAR", "PA")
    with pytest.raises(NotFoundError, match=str(star.vessel.id)):
        visible_vessel(house.gallery, other.vessel.id)


def test_vessels_with_different_imo_numbers_do_not_merge(house: House, star: Enrolled) -> None:
    other = house.enrolment.enrol(NewVessel(imo="9176187"), [optical(3)])
    with pytest.raises(ConflictError, match="9176187"):
        house.curation.merge(star.vessel.id, other.vessel.id)
    with pytest.raises(InvalidRequestError):
        house.curation.merge(star.vessel.id, star.vessel.id)


def test_repeating_the_enrolment_of_a_merged_vessel_points_to_the_survivor(
    house: House, star: Enrolled
) -> None:
    twin = NewVessel(name="TWIN")
    other = house.enrolment.enrol(twin, [optical(3)])
    house.curation.merge(star.vessel.id, other.vessel.id)
    with pytest.raises(ConflictError, match=str(star.vessel.id)):
        house.enrolment.enrol(twin, [optical(3)])


def test_a_split_makes_a_new_vessel(house: House, star: Enrolled) -> None:
    moved, stays = star.sightings
    new = house.curation.split(star.vessel.id, [moved.id], VesselPatch(name="SISTER"))
    assert [s.id for s in new.sightings] == [moved.id]
    assert new.vessel.split_from == star.vessel.id
    assert [s.id for s in house.gallery.sightings_of([star.vessel.id])] == [stays.id]


def test_a_split_takes_some_but_not_all(house: House, star: Enrolled) -> None:
    with pytest.raises(InvalidRequestError):
        house.curation.split(star.vessel.id, [s.id for s in star.sightings], VesselPatch())
    with pytest.raises(NotFoundError):
        house.curation.split(star.vessel.id, [uuid4()], VesselPatch())
