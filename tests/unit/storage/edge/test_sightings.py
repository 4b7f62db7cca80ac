"""Open sightings change their place, whatever interrupts it, and no sighting is lost or doubled."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.identity.records.sightings import EmbeddedSighting
from service.identity.records.vessels import Vessel
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.shard import Shard
from service.storage.points.filters import EVERYTHING
from service.storage.sqlite.table import PointTable
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query

CHANGED_PLACES = 2


class KilledError(RuntimeError):
    """The process was killed."""


def kill_after(patch: pytest.MonkeyPatch, steps: int) -> None:
    """Let so many changes of either place succeed, and none after them."""
    number = count()

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def step(store: object, changed: Any, *rest: Any) -> None:
            if changed != [] and next(number) >= steps:
                raise KilledError
            change(store, changed, *rest)

        return step

    patch.setattr(Shard, "apply", counted(Shard.apply))
    patch.setattr(PointTable, "put", counted(PointTable.put))
    patch.setattr(PointTable, "delete", counted(PointTable.delete))


def open_gallery(folder: Path) -> EdgeGallery:
    return EdgeGallery(folder, BUNDLE, WIDTH)


def contents(folder: Path) -> list[UUID]:
    """Return the ids of open sightings as all ways of reading find them, most similar first."""
    gallery = open_gallery(folder)
    assert gallery._sightings.shard.count(EVERYTHING) == 1
    modality = gallery.ungrouped(1)[0].sighting.modality
    found = [hit.sighting.id for hit in gallery.search_open(query(), modality, 100)]
    assert {i for i, _ in gallery.open_sightings(None, 0)} == {*found}
    assert {one.sighting.id for one in gallery.ungrouped(100)} == {*found}
    assert gallery.open_count() == len(found)
    problems = [one.problem for batch in gallery.check_records() for one in batch]
    assert problems == [None] * (len(found) + 1)
    gallery.close()
    return found


Change = Callable[[EdgeGallery, EmbeddedSighting, Vessel], None]
CHANGES: dict[str, Change] = {
    "give": lambda gallery, one, vessel: gallery.move_sightings([one.sighting.id], vessel),
    "enrol": lambda gallery, one, vessel: gallery.put_sightings([one], vessel),
    "take": lambda gallery, one, _: gallery.move_sightings([one.sighting.id], None),
    "replace": lambda gallery, one, _: gallery.put_sightings([one], None),
    "delete": lambda gallery, one, _: gallery.delete_sightings([one.sighting.id]),
}


@pytest.mark.parametrize("steps", range(CHANGED_PLACES + 1))
@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_leaves_a_sighting_before_or_after_the_change(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch, change: str, steps: int
) -> None:
    gallery = open_gallery(quick_folder)
    vessel, one = make_vessel(), embedded(0.9)
    owner = None if change in ("give", "enrol") else vessel
    gallery.put_vessel(vessel)
    gallery.put_sightings([one], owner)
    with monkeypatch.context() as patch:
        kill_after(patch, steps)
        try:
            CHANGES[change](gallery, one, vessel)
            acknowledged = True
        except KilledError:
            acknowledged = False
    gallery.close()
    gallery = open_gallery(quick_folder)
    stored = gallery.get_sighting(one.sighting.id)
    now = "gone" if stored is None else stored.vessel_id
    after: object = {"give": vessel.id, "enrol": vessel.id, "delete": "gone"}.get(change)
    assert acknowledged == (steps == CHANGED_PLACES)
    assert now == after if acknowledged else now in (after, owner and owner.id)
    assert gallery._sightings.count(EVERYTHING) == (now != "gone")
    assert gallery.counts().sightings == (now == vessel.id)
    hits = gallery.search_open(query(), one.sighting.modality, 5)
    assert [hit.sighting.id for hit in hits] == [one.sighting.id] * (now is None)
    gallery.close()


def test_a_change_of_one_bundle_is_one_of_all(quick_folder: Path) -> None:
    other = "another"
    one = embedded(0.9)
    copy = EmbeddedSighting(one.sighting.model_copy(update={"bundle_id": other}), query()[:8])
    for bundle, width, sighting in ((other, 8, copy), (BUNDLE, WIDTH, one)):
        gallery = EdgeGallery(quick_folder, bundle, width)
        gallery.put_open_sightings([sighting])
        gallery.close()
    gallery, vessel = open_gallery(quick_folder), make_vessel()
    gallery.put_vessel(vessel)
    gallery.move_sightings([one.sighting.id], vessel)
    gallery.close()
    gallery = EdgeGallery(quick_folder, other, 8)
    assert [x.id for x in gallery.sightings_of([vessel.id])] == [one.sighting.id]
    assert gallery.open_count() == 0
    gallery.close()


def test_a_damaged_embedding_is_not_searched_and_is_reported(quick_folder: Path) -> None:
    gallery = open_gallery(quick_folder)
    damaged, intact = embedded(0.9), embedded(0.8)
    gallery.put_open_sightings([damaged, intact])
    gallery.close()
    with closing(sqlite3.connect(quick_folder / f"open-{BUNDLE}.sqlite")) as stored, stored:
        change = "UPDATE vector SET numbers = x'00' WHERE id = ?"
        assert stored.execute(change, [damaged.sighting.id.bytes]).rowcount == 1
    gallery = open_gallery(quick_folder)
    hits = gallery.search_open(query(), intact.sighting.modality, 5)
    assert [hit.sighting.id for hit in hits] == [intact.sighting.id]
    checks = [one for batch in gallery.check_records() for one in batch]
    assert {one.id for one in checks if one.problem is not None} == {damaged.sighting.id}
    gallery.close()
