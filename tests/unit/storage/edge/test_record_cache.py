"""Records that searches keep: bounded, forgotten when written, and never shown when damaged."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.identity.errors import StoreDamagedError
from service.identity.records.sightings import SightingFilter
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.record_cache import RecordCache
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query
from tests.support.galleries import search


class Rows:
    """A store that counts how many rows were read."""

    def __init__(self) -> None:
        self.read = 0

    def fetch(self, ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
        self.read += len(ids)
        return {one: {"record": f"{one.int:08}"} for one in ids if one.int}


def numbers(*values: int) -> list[bytes]:
    return [UUID(int=value).bytes for value in values]


def test_the_records_used_last_are_kept_and_written_ones_are_read_again() -> None:
    rows: Any = Rows()
    cache: RecordCache[int] = RecordCache(rows, lambda row: int(row["record"]), most_characters=24)
    assert set(cache.get(numbers(1, 2, 3, 0)).values()) == {1, 2, 3}
    assert (cache.get(numbers(1)), rows.read) == ({UUID(int=1).bytes: 1}, 4)
    cache.get(numbers(4))  # more than 24 characters: 2, which was used longest ago, goes
    cache.get(numbers(1, 3, 4))
    assert rows.read == 5
    cache.get(numbers(2))
    assert rows.read == 6
    cache.drop([UUID(int=2), UUID(int=7)])
    cache.get(numbers(2))
    assert rows.read == 7
    assert cache._characters == 24


def test_a_record_that_is_damaged_after_it_was_read_is_not_shown(quick_folder: Path) -> None:
    gallery = EdgeGallery(quick_folder, BUNDLE, WIDTH)
    vessel = make_vessel()
    gallery.put_vessel(vessel)
    gallery.put_sightings([embedded(0.9, vessel)], vessel)
    [hit] = search(gallery, query(), SightingFilter(), 5)
    shown = [one.sighting.id for one in hit.hits]
    gallery.require_intact(shown)
    gallery._sightings.set_fields(shown, {"chip_sha256": "0" * 64})
    with pytest.raises(StoreDamagedError):
        gallery.require_intact(shown)
    gallery.close()


def test_a_search_returns_records_as_they_were_written_last(quick_folder: Path) -> None:
    gallery = EdgeGallery(quick_folder, BUNDLE, WIDTH)
    vessel, other = make_vessel(name="A"), make_vessel(name="B")
    for one in (vessel, other):
        gallery.put_vessel(one)
    chip = embedded(0.9, vessel)
    gallery.put_sightings([chip], vessel)
    search(gallery, query(), SightingFilter(), 5)
    renamed = vessel.model_copy(update={"name": "C"})
    gallery.put_vessel(renamed)
    [hit] = search(gallery, query(), SightingFilter(), 5)
    assert hit.vessel == renamed
    gallery.move_sightings([chip.sighting.id], other, origin=vessel.id)
    [hit] = search(gallery, query(), SightingFilter(), 5)
    assert (hit.vessel, hit.hits[0].sighting.origin_vessel_id) == (other, vessel.id)
    gallery.move_sightings([chip.sighting.id], None)
    assert search(gallery, query(), SightingFilter(), 5) == []
    gallery.move_sightings([chip.sighting.id], vessel)
    [hit] = search(gallery, query(), SightingFilter(), 5)
    assert hit.hits[0].sighting.vessel_id == vessel.id
    gallery.delete_sightings([chip.sighting.id])
    assert search(gallery, query(), SightingFilter(), 5) == []
    gallery.close()
