"""What every `Gallery` and `MatchStore` does for sightings that wait."""

from uuid import uuid4

import numpy as np
import pytest

from service.contract.chip import Modality
from service.identity.ports.gallery import Gallery
from service.identity.records.sightings import EmbeddedSighting
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
