"""A run leaves search tables to the next one, which reads only records that may have changed."""

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.contract.chip import Modality
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.sightings import SightingFilter
from service.identity.records.vessels import Vessel, VesselState
from service.storage.edge.archive import EdgeArchive
from service.storage.edge.folder import SEARCH
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.sightings import BundleSightings
from service.storage.edge.tables import change_journal, saved_tables, sketched_vectors
from service.storage.edge.tables.change_journal import ENTRY
from service.storage.edge.tables.saved_tables import FILE, JOURNALS
from service.storage.edge.tables.search_tables import ENROLLED, SearchTables
from service.storage.points.archive import EmbeddedPoint
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query
from tests.support.galleries import search
from tests.support.search_tables import assert_tables_are_current

Answers = tuple[list[tuple[UUID, list[tuple[UUID, float]]]], ...]


@dataclass
class Reads:
    """How often all records were read."""

    count: int = 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted, read = Reads(), SearchTables._read

    def count(self: SearchTables) -> None:
        counted.count += 1
        read(self)

    monkeypatch.setattr(SearchTables, "_read", count)
    monkeypatch.setattr(sketched_vectors, "SKETCHED_ROWS", 16)
    return counted


def open_gallery(folder: Path) -> EdgeGallery:
    return EdgeGallery(folder, BUNDLE, WIDTH)


def fill(gallery: EdgeGallery) -> list[Vessel]:
    vessels = [make_vessel(type=("cargo", "tanker")[n % 2], length_m=100.0 + n) for n in range(30)]
    for n, vessel in enumerate(vessels):
        gallery.put_vessel(vessel)
        similarities = (0.9 - 0.01 * n, 0.5 - 0.01 * n)
        gallery.put_sightings([embedded(one, vessel, 1 + n % 3) for one in similarities], vessel)
    gallery.put_sightings([embedded(0.7), embedded(0.6, modality=Modality.SAR)], None)
    gallery.put_vessel(vessels[0].model_copy(update={"state": VesselState.DELETED}))
    gallery.sync_vessel(vessels[2].model_copy(update={"type": "ferry"}))
    [first, _] = gallery.sightings_of([vessels[4].id])
    gallery.delete_sightings([first.id])
    return vessels


def answers(gallery: EdgeGallery) -> Answers:
    filters = [
        SightingFilter(),
        SightingFilter(vessel_types=("ferry", "cargo")),
        SightingFilter(vessel_length_m=(105, 112)),
    ]
    enrolled = [
        sorted(
            (hit.vessel.id, [(one.sighting.id, round(one.similarity, 5)) for one in hit.hits])
            for hit in search(gallery, query(), where, 100)
        )
        for where in filters
    ]
    waiting = [
        (one.sighting.id, [(one.sighting.id, round(one.similarity, 5))])
        for sensor in Modality
        for one in gallery.search_open(query(), sensor, 5)
    ]
    return *enrolled, sorted(waiting)


def closed(folder: Path) -> Answers:
    """Fill a gallery and close it."""
    gallery = open_gallery(folder)
    fill(gallery)
    before = answers(gallery)
    assert [len(one) for one in before] == [29, 14, 8, 2]
    gallery.close()
    return before


def test_a_closed_gallery_is_opened_without_reading_all_records(
    quick_folder: Path, reads: Reads
) -> None:
    before = closed(quick_folder)
    assert reads.count == 1
    gallery = open_gallery(quick_folder)
    assert reads.count == 1
    assert answers(gallery) == before
    more = fill(gallery)
    gallery.delete_vessel(more[5].id)
    now, counts = answers(gallery), gallery.counts()
    gallery.close()
    gallery = open_gallery(quick_folder)
    assert reads.count == 1
    assert (answers(gallery), gallery.counts()) == (now, counts)
    gallery.close()
    (quick_folder / SEARCH / FILE).unlink()
    gallery = open_gallery(quick_folder)
    assert reads.count == 2
    assert (answers(gallery), gallery.counts()) == (now, counts)
    gallery.close()


def killed(folder: Path) -> None:
    """Leave the files of a gallery that was changed and killed."""
    closed(folder)
    gallery = open_gallery(folder)
    fill(gallery)
    gallery._folder.close()  # without the tables


def open_current(folder: Path) -> EdgeGallery:
    """Open a gallery, and assert that its tables hold what its stores hold."""
    gallery = open_gallery(folder)
    assert_tables_are_current(gallery)
    return gallery


def test_after_a_kill_only_changes_are_read(
    quick_folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(quick_folder)
    fetched: list[UUID] = []
    fetch = BundleSightings.fetch_with_vectors

    def count(self: BundleSightings, ids: Collection[UUID]) -> list[EmbeddedPoint]:
        fetched.extend(ids)
        return fetch(self, ids)

    monkeypatch.setattr(BundleSightings, "fetch_with_vectors", count)
    gallery = open_current(quick_folder)
    assert reads.count == 1
    assert len(gallery._tables.enrolled) == 118
    assert len({*fetched}) == len(fetched) < 65
    gallery._folder.close()
    fetched.clear()
    open_current(quick_folder).close()
    assert (reads.count, fetched) == (1, [])
    assert [one.name for one in (quick_folder / SEARCH).glob(JOURNALS)] == []


def test_a_journal_that_grows_is_replaced(
    quick_folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.edge.tables.search_tables.SAVE_AFTER", 20)
    gallery = open_gallery(quick_folder)
    fill(gallery)
    [journal] = (quick_folder / SEARCH).glob(JOURNALS)
    assert journal.stat().st_size < 40 * ENTRY
    gallery._folder.close()
    open_current(quick_folder).close()
    assert reads.count == 1


@pytest.mark.parametrize("saved", [False, True])
def test_a_vessel_that_is_written_while_tables_are_saved(
    quick_folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    """The process is killed then, before or after the new tables replaced the old ones."""
    gallery = open_gallery(quick_folder)
    vessels = fill(gallery)
    save = saved_tables.save

    def write_and_die(*all_of_it: Any) -> None:
        if saved:
            save(*all_of_it)
        gallery.put_vessel(vessels[3].model_copy(update={"state": VesselState.DELETED}))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(saved_tables, "save", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            gallery._tables._save()
    gallery._folder.close()
    open_current(quick_folder).close()
    assert reads.count == 1


@pytest.mark.parametrize("before", [closed, killed])
def test_changes_by_others_are_seen(
    quick_folder: Path, reads: Reads, before: Callable[[Path], object]
) -> None:
    before(quick_folder)
    archive = EdgeArchive(quick_folder)
    archive._sightings(BUNDLE).delete([next(iter(archive.sighting_ids(BUNDLE)))])
    archive.close()
    open_current(quick_folder).close()
    assert reads.count == 2


def test_tables_of_another_bundle_are_not_used(quick_folder: Path, reads: Reads) -> None:
    killed(quick_folder)
    EdgeGallery(quick_folder, "other", WIDTH)._folder.close()
    gallery = open_current(quick_folder)
    assert reads.count == 3
    gallery.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1000] ^= 255  # of the first rows
    path.write_bytes(data)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])  # rows are missing


def copy(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


DAMAGE_TO_COLUMNS = (flip, halve, Path.unlink)
DAMAGE_TO_VECTORS = (flip, shorten, Path.unlink)


@pytest.mark.parametrize(
    ("left", "name", "damage"),
    [
        *((left, FILE, damage) for left in (closed, killed) for damage in DAMAGE_TO_COLUMNS),
        *((left, ENROLLED, damage) for left in (closed, killed) for damage in DAMAGE_TO_VECTORS),
        *((killed, JOURNALS, damage) for damage in (flip, halve, Path.unlink, copy)),
    ],
)
def test_damaged_tables_are_not_used(
    quick_folder: Path,
    reads: Reads,
    caplog: pytest.LogCaptureFixture,
    left: Callable[[Path], object],
    name: str,
    damage: Callable[[Path], None],
) -> None:
    left(quick_folder)
    [path] = (quick_folder / SEARCH).glob(name)
    damage(path)
    gallery = open_current(quick_folder)
    assert reads.count == 2
    assert "all records were read" in caplog.text
    gallery.close()


def test_after_a_loss_of_power_all_records_are_read(
    quick_folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(quick_folder)
    monkeypatch.setattr(change_journal, "_boot_id", lambda: bytes(16))
    open_current(quick_folder).close()
    assert reads.count == 2


def test_changes_that_failed_are_read_again(
    quick_folder: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush fails after the shard took a vessel, which its table does not have then."""
    gallery = open_gallery(quick_folder)
    fill(gallery)

    class Unwritable:
        def __getattr__(self, name: str) -> object:
            return getattr(shard, name)

        def flush(self) -> None:
            raise OSError(5, "Input/output error")

    shard = gallery._vessels._shard
    with monkeypatch.context() as patch:
        patch.setattr(gallery._vessels, "_shard", Unwritable())
        patch.setattr("service.storage.edge.shard.FLUSH_EVERY", 1)
        with pytest.raises(StoreUnavailableError):
            gallery.put_vessel(make_vessel())
    assert gallery.counts().vessels == 29
    gallery._tables._save()  # the new journal begins with the vessel
    gallery.close()
    gallery = open_current(quick_folder)
    assert reads.count == 1
    assert gallery.counts().vessels == 30
    gallery.close()


def test_nothing_changes_that_cannot_be_noted(
    quick_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, vessel = open_gallery(quick_folder), make_vessel()

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        with pytest.raises(StoreFullError):
            gallery.put_vessel(vessel)
    assert gallery.get_vessels([vessel.id]) == {}
    gallery.put_vessel(vessel)
    gallery._folder.close()
    open_current(quick_folder).close()
