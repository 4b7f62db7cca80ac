"""What every `Gallery` and `MatchStore` does for sightings that wait."""

from uuid import UUID, uuid4

import numpy as np
import pytest

from service.contract.chip import Modality
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import EmbeddedSighting, GroupPlace
from service.identity.records.vessels import Vessel
from tests.support.fakes.records import embedded, make_vessel, query


def put(gallery: Gallery, vessel: Vessel | None, *similarities: float) -> list[EmbeddedSighting]:
    sightings = [embedded(one, vessel) for one in similarities]
    if vessel is None:
        gallery.put_open_sightings(sightings)
    else:
        gallery.put_vessel(vessel)
        gallery.put_sightings(sightings, vessel)
    return sightings


def marked(gallery: Gallery) -> set[object]:
    return {one.sighting.id for one in gallery.uncompared(100)}


def test_open_sightings_are_found_by_similarity_and_sensor(gallery: Gallery) -> None:
    far, near = put(gallery, None, 0.2, 0.9)
    put(gallery, make_vessel(), 0.95)
    modality = near.sighting.modality
    hits = gallery.search_open(query(), modality, 5)
    assert [hit.sighting for hit in hits] == [near.sighting, far.sighting]
    assert [hit.similarity for hit in hits] == pytest.approx([0.9, 0.2], abs=1e-5)
    assert gallery.search_open(query(), modality, 1) == hits[:1]
    (other,) = [one for one in Modality if one is not modality]
    assert gallery.search_open(query(), other, 5) == []


def test_a_search_shows_open_sightings_as_they_were_last_written(gallery: Gallery) -> None:
    vessel = make_vessel()
    gallery.put_vessel(vessel)
    (first,) = put(gallery, None, 0.9)
    modality, own = first.sighting.modality, first.sighting.id

    def shown() -> list[tuple[str | None, GroupPlace | None]]:
        return [(h.sighting.note, h.place) for h in gallery.search_open(query(), modality, 5)]

    assert shown() == [(None, None)]
    noted = first.sighting.model_copy(update={"note": "again"})
    gallery.put_open_sightings([EmbeddedSighting(noted, first.vector)])
    assert shown() == [("again", None)]
    place = GroupPlace(uuid4(), 0.9)
    gallery.place_in_group({own: place})
    assert shown() == [("again", place)]
    gallery.compare_anew([own])
    assert shown() == [("again", None)]
    gallery.move_sightings([own], vessel)
    assert shown() == []
    gallery.move_sightings([own], None)
    assert shown() == [("again", None)]
    gallery.delete_open_sightings([own])
    assert shown() == []


def test_a_sighting_is_marked_in_the_write_that_gives_it_a_vessel(gallery: Gallery) -> None:
    vessel = make_vessel()
    (enrolled,) = put(gallery, vessel, 0.9)
    (waiting,) = put(gallery, None, 0.8)
    (found,) = gallery.uncompared(100)
    assert found.sighting == enrolled.sighting
    assert np.allclose(found.vector, enrolled.vector, atol=1e-6)
    gallery.mark_compared([enrolled.sighting.id, uuid4()])
    assert marked(gallery) == set()
    gallery.move_sightings([waiting.sighting.id], vessel)
    assert marked(gallery) == {waiting.sighting.id}
    gallery.move_sightings([waiting.sighting.id], None)
    assert marked(gallery) == set()


def test_a_change_of_attributes_marks_nothing(gallery: Gallery) -> None:
    vessel = make_vessel()
    (enrolled,) = put(gallery, vessel, 0.9)
    gallery.mark_compared([enrolled.sighting.id])
    gallery.sync_vessel(vessel.model_copy(update={"type": "tanker"}))
    assert marked(gallery) == set()


def test_marks_are_read_in_batches(gallery: Gallery) -> None:
    sightings = put(gallery, make_vessel(), *(0.1 * n for n in range(1, 8)))
    done: set[object] = set()
    while batch := gallery.uncompared(3):
        assert len(batch) <= 3
        gallery.mark_compared([one.sighting.id for one in batch])
        done |= {one.sighting.id for one in batch}
    assert done == {one.sighting.id for one in sightings}


def ungrouped(gallery: Gallery) -> set[UUID]:
    return {one.sighting.id for one in gallery.ungrouped(100)}


def members(gallery: Gallery, group: UUID) -> list[UUID]:
    return [one.sighting.id for one in gallery.members_of([group])]


def test_an_open_sighting_is_marked_until_it_has_a_place(gallery: Gallery) -> None:
    waiting = put(gallery, None, 0.9, 0.8, 0.7)
    first, second, alone = (one.sighting.id for one in waiting)
    assert ungrouped(gallery) == {first, second, alone}
    (found,) = [one for one in gallery.ungrouped(100) if one.sighting.id == first]
    assert np.allclose(found.vector, waiting[0].vector, atol=1e-6)
    assert len(gallery.ungrouped(2)) == 2
    assert gallery.open_count() == 3
    place = GroupPlace(uuid4(), 0.75)
    gallery.place_in_group({first: place, second: GroupPlace(place.group_id, None), alone: None})
    assert ungrouped(gallery) == set()
    assert set(members(gallery, place.group_id)) == {first, second}
    assert gallery.group_sizes() == {place.group_id: 2}
    hits = gallery.search_open(query(), waiting[0].sighting.modality, 5)
    assert [hit.place for hit in hits] == [place, GroupPlace(place.group_id, None), None]
    assert {one.place for one in gallery.members_of([place.group_id])} == {
        place,
        GroupPlace(place.group_id, None),
    }
    assert gallery.members_of([]) == gallery.members_of([uuid4()]) == []


def test_a_search_may_leave_out_what_was_not_compared(gallery: Gallery) -> None:
    near, far = put(gallery, None, 0.9, 0.2)
    gallery.place_in_group({far.sighting.id: None})
    modality = near.sighting.modality
    hits = gallery.search_open(query(), modality, 5, compared=True)
    assert [hit.sighting.id for hit in hits] == [far.sighting.id]


def test_a_sighting_that_gets_a_vessel_loses_its_place(gallery: Gallery) -> None:
    vessel = make_vessel()
    gallery.put_vessel(vessel)
    waiting = put(gallery, None, 0.9, 0.8)
    first, second = (one.sighting.id for one in waiting)
    place = GroupPlace(uuid4(), 0.9)
    gallery.place_in_group({first: place, second: place})
    gallery.move_sightings([first], vessel)
    gallery.place_in_group({first: place, uuid4(): place})
    gallery.compare_anew([first])
    assert members(gallery, place.group_id) == [second]
    assert gallery.group_sizes() == {place.group_id: 1}
    assert ungrouped(gallery) == set()
    assert marked(gallery) == {first}
    gallery.move_sightings([first], None)
    assert ungrouped(gallery) == {first}
    assert members(gallery, place.group_id) == [second]


def test_sightings_are_compared_anew_without_their_group(gallery: Gallery) -> None:
    waiting = put(gallery, None, 0.9, 0.8)
    first, second = (one.sighting.id for one in waiting)
    place = GroupPlace(uuid4(), 0.9)
    gallery.place_in_group({first: place, second: place})
    gallery.compare_anew([first, uuid4()])
    assert ungrouped(gallery) == {first}
    assert members(gallery, place.group_id) == [second]
    gallery.put_open_sightings(waiting[1:])  # the same question again
    assert ungrouped(gallery) == {first, second}
    assert gallery.group_sizes() == {}


def test_a_chip_counts_once_in_its_group(gallery: Gallery) -> None:
    (one,) = put(gallery, None, 0.9)
    twin = EmbeddedSighting(one.sighting.model_copy(update={"id": uuid4()}), one.vector)
    gallery.put_open_sightings([twin])
    place = GroupPlace(uuid4(), 0.9)
    gallery.place_in_group({one.sighting.id: place, twin.sighting.id: place})
    assert gallery.group_sizes() == {place.group_id: 1}
    assert len(members(gallery, place.group_id)) == 2
