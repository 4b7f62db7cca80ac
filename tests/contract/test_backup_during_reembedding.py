"""A backup that is made while the gallery is re-embedded can be restored and continued."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from service.identity.ports.archive import GalleryArchive
from service.identity.records.sightings import EmbeddedSighting
from service.maintenance.backup import back_up
from service.maintenance.restore import restore
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import START
from tests.support.stores import (
    NEW,
    OLD,
    KilledError,
    Site,
    enrol,
    kill_after_first_write,
    move_to_new_bundle,
    prepare_reembedding,
    stores,
)

Fresh = Callable[[str], Site]


def vessel_ids(archive: GalleryArchive) -> dict[str, dict[UUID, UUID | None]]:
    """Return the vessel of each sighting of each bundle, tentative ones included."""
    return {
        bundle: {
            i: one.vessel_id
            for i, one in archive.get_sightings(bundle, archive.sighting_ids(bundle)).items()
        }
        for bundle in archive.bundles()
    }


@pytest.mark.parametrize("into", ["edge", "memory"])
def test_a_restored_gallery_continues_as_the_original_does(
    site: Site,
    chips: FakeChipStore,
    fresh: Fresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    into: str,
) -> None:
    """Between the copy and the second look, a sighting is deleted and another one is moved."""
    vessel, other = enrol(site, chips, [1, 2, 3]), enrol(site, chips, [4])
    archive = site.archive()
    deleted, moved, done = (x for x in archive.sightings(OLD) if x.sighting.vessel_id == vessel.id)
    prepare_reembedding(archive, chips).embed([done.sighting.id])

    def change() -> None:
        archive.delete_sightings(OLD, [deleted.sighting.id])
        reassigned = moved.sighting.model_copy(update={"vessel_id": other.id})
        write(OLD, [EmbeddedSighting(reassigned, moved.vector)], {other.id: other})

    write = archive.put_sightings
    with monkeypatch.context() as patch:
        kill_after_first_write(archive, patch, change)
        with pytest.raises(KilledError):
            prepare_reembedding(archive, chips).embed([deleted.sighting.id, moved.sighting.id])
    assert deleted.sighting.id in archive.sighting_ids(NEW)
    archive.close()

    source = stores(site, chips, tmp_path)
    counts = back_up(source, tmp_path / "backup", START)
    assert counts.sightings == {OLD: 3, NEW: 1}, "tentative sightings are left out"
    restored_chips = FakeChipStore()
    target = stores(fresh(into), restored_chips, tmp_path / "there")
    restore(tmp_path / "backup", target)
    for each, originals in ((source, chips), (target, restored_chips)):
        task = prepare_reembedding(each.archive, originals)
        task.redo_tentative()
        task.embed(task.missing())
        task.switch()
    assert vessel_ids(target.archive) == vessel_ids(source.archive)
    restored = vessel_ids(target.archive)[NEW]
    assert deleted.sighting.id not in restored
    assert restored[moved.sighting.id] == other.id
    assert restored_chips.data.keys() < chips.data.keys(), "a deleted chip is left out"
    for each in (source, target):
        each.archive.close()


def test_a_sighting_deleted_between_reading_two_bundles_is_in_neither(
    site: Site, chips: FakeChipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(site, chips, [1, 2, 3])
    move_to_new_bundle(site, chips)
    source = stores(site, chips, tmp_path)
    read = source.archive.sightings

    def read_and_delete(bundle: str) -> Iterator[EmbeddedSighting]:
        first, *others = read(bundle)
        yield from (first, *others)
        if bundle == OLD:
            source.archive.delete_sightings(OLD, [first.sighting.id])
            source.archive.delete_sightings(NEW, [first.sighting.id])

    monkeypatch.setattr(source.archive, "sightings", read_and_delete)
    counts = back_up(source, tmp_path / "backup", START)
    assert counts.sightings == {OLD: 2, NEW: 2}
    source.archive.close()
