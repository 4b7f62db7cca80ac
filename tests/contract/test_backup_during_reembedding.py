"""A backup that is taken while the gallery moves to another bundle, restored and continued."""

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
    die_before_the_second_look,
    enrol,
    move,
    moving,
    stores,
)

Fresh = Callable[[str], Site]


def state(archive: GalleryArchive) -> dict[str, dict[UUID, UUID | None]]:
    """Whose the sightings of each bundle are, tentative ones too."""
    return {
        bundle: {
            i: one.vessel_id
            for i, one in archive.get_sightings(bundle, archive.sighting_ids(bundle)).items()
        }
        for bundle in archive.bundles()
    }


@pytest.mark.parametrize("into", ["edge", "memory"])
def test_it_goes_on_as_if_it_had_not_been_interrupted(
    site: Site,
    chips: FakeChipStore,
    fresh: Fresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    into: str,
) -> None:
    """One sighting is deleted and one given to another vessel between copy and second look."""
    vessel, other = enrol(site, chips, [1, 2, 3]), enrol(site, chips, [4])
    archive = site.archive()
    gone, moved, done = (x for x in archive.sightings(OLD) if x.sighting.vessel_id == vessel.id)
    moving(archive, chips).embed([done.sighting.id])

    def change() -> None:
        archive.delete_sightings(OLD, [gone.sighting.id])
        theirs = moved.sighting.model_copy(update={"vessel_id": other.id})
        write(OLD, [EmbeddedSighting(theirs, moved.vector)], {other.id: other})

    write = archive.put_sightings
    with monkeypatch.context() as mortal:
        die_before_the_second_look(archive, mortal, change)
        with pytest.raises(KilledError):
            moving(archive, chips).embed([gone.sighting.id, moved.sighting.id])
    assert gone.sighting.id in archive.sighting_ids(NEW)
    archive.close()

    source = stores(site, chips, tmp_path)
    counts = back_up(source, tmp_path / "backup", START)
    assert counts.sightings == {OLD: 3, NEW: 1}, "what was not looked at again is left out"
    elsewhere, kept = fresh(into), FakeChipStore()
    target = stores(elsewhere, kept, tmp_path / "there")
    restore(tmp_path / "backup", target)
    for each, originals in ((source, chips), (target, kept)):
        task = moving(each.archive, originals)
        task.redo_tentative()
        task.embed(task.missing())
        task.switch()
    assert state(target.archive) == state(source.archive)
    there = state(target.archive)[NEW]
    assert gone.sighting.id not in there
    assert there[moved.sighting.id] == other.id
    assert kept.kept.keys() < chips.data.keys(), "nor is the chip of what was deleted"
    for each in (source, target):
        each.archive.close()


def test_what_is_deleted_between_two_bundles_is_in_neither(
    site: Site, chips: FakeChipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(site, chips, [1, 2, 3])
    move(site, chips)
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
