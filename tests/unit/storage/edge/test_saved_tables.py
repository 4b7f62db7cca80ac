"""A run saves its search tables for the next one, which uses them only if nothing has changed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from service.contract.chip import Modality
from service.identity.errors import StoreUnavailableError
from service.identity.records.sightings import SightingFilter
from service.identity.records.vessels import Vessel, VesselState
from service.storage.edge.archive import EdgeArchive
from service.storage.edge.folder import SEARCH
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.tables import sketched_vectors
from service.storage.edge.tables.saved_tables import FILE
from service.storage.edge.tables.search_tables import ENROLLED, SearchTables
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query
from tests.support.galleries import search

Answers = tuple[list[tuple[UUID, list[tuple[UUID, float]]]], ...]


@dataclass
class Reads:
    """How often all records were read."""

    count: int = 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted, read = Reads(), SearchTables._read

    def count(self: SearchTables, *stores: object) -> None:
        counted.count += 1
        read(self, *stores)  # type: ignore[arg-type]

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


def test_a_killed_run_leaves_nothing_to_use(quick_folder: Path, reads: Reads) -> None:
    closed(quick_folder)
    gallery = open_gallery(quick_folder)
    assert not (quick_folder / SEARCH / FILE).exists()
    fill(gallery)
    now = answers(gallery)
    gallery._folder.close()  # the files are as after a kill, without the tables
    gallery = open_gallery(quick_folder)
    assert reads.count == 2
    assert answers(gallery) == now
    gallery.close()


def test_changes_by_others_are_seen(quick_folder: Path, reads: Reads) -> None:
    before = closed(quick_folder)
    archive = EdgeArchive(quick_folder)
    archive._sightings(BUNDLE).delete([before[0][0][1][0][0]])
    archive.close()
    gallery = open_gallery(quick_folder)
    assert reads.count == 2
    assert answers(gallery) != before
    gallery.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[1000] ^= 255  # of the first rows
    path.write_bytes(data)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((FILE, flip), (FILE, halve), (FILE, Path.unlink)),
        *((ENROLLED, flip), (ENROLLED, Path.unlink)),
        *((f"{ENROLLED}.sketches", flip), (f"{ENROLLED}.sketches", Path.unlink)),
    ],
)
def test_damaged_tables_are_not_used(
    quick_folder: Path, reads: Reads, name: str, damage: Callable[[Path], None]
) -> None:
    before = closed(quick_folder)
    damage(quick_folder / SEARCH / name)
    gallery = open_gallery(quick_folder)
    assert reads.count == 2
    assert answers(gallery) == before
    gallery.close()


def test_tables_that_missed_a_change_are_not_saved(
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
    gallery.close()
    assert not (quick_folder / SEARCH / FILE).exists()
    gallery = open_gallery(quick_folder)
    assert reads.count == 2
    assert gallery.counts().vessels == 30
    gallery.close()
