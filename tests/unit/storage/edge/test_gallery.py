"""The gallery in a folder: its lock, its durability, and reports of damage."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import qdrant_edge as edge

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.sightings import GalleryCounts, SightingFilter
from service.identity.records.vessels import Vessel, VesselState
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.shard import Shard
from tests.support.fakes.records import BUNDLE, WIDTH, embedded, make_vessel, query
from tests.support.galleries import search


@pytest.fixture
def folder(quick_folder: Path) -> Path:
    return quick_folder


OPEN_AND_REPORT = """
import sys
from collections.abc import Callable
from pathlib import Path
from service.storage.edge.gallery import EdgeGallery
EdgeGallery(Path(sys.argv[1]), "b", 4)
"""


def enrol(gallery: EdgeGallery, similarity: float, **fields: object) -> Vessel:
    vessel = make_vessel(**fields)
    gallery.put_vessel(vessel)
    gallery.put_sightings([embedded(similarity, vessel)], vessel)
    return vessel


def test_everything_is_stored_after_reopening(folder: Path) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    vessel = enrol(gallery, 0.9, name="Kept", type="Cargo")
    hidden = enrol(gallery, 0.8, state=VesselState.ENROLLING)
    gallery.put_sightings([embedded(0.7)], None)
    gallery.close()
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    assert gallery.get_vessels([vessel.id, hidden.id]) == {vessel.id: vessel, hidden.id: hidden}
    [hit] = search(gallery, query(), SightingFilter(vessel_types=("cargo",)), 5)
    assert hit.vessel == vessel
    assert gallery.counts() == GalleryCounts(1, 1)
    gallery.close()


def test_changes_that_are_only_in_the_log_survive(folder: Path) -> None:
    """After a power cut the segments may be as they were at the last flush; the log is not."""
    live, old = folder / "live", folder / "old"
    gallery = EdgeGallery(live, BUNDLE, WIDTH)
    first = enrol(gallery, 0.3, type="Cargo")
    deleted = enrol(gallery, 0.2)
    gallery.close()
    shutil.copytree(live, old)

    gallery = EdgeGallery(live, BUNDLE, WIDTH)
    enrolled = [enrol(gallery, 0.5, name=f"Late {i}") for i in range(20)]
    gallery.move_sightings([s.id for s in gallery.sightings_of([deleted.id])], first)
    gallery.delete_vessel(deleted.id)
    gallery.sync_vessel(first.model_copy(update={"type": "Tanker"}))
    for shard in ("vessels", f"sightings-{BUNDLE}"):
        shutil.rmtree(old / shard / "wal")
        shutil.copytree(live / shard / "wal", old / shard / "wal")
    gallery.close()

    reopened = EdgeGallery(old, BUNDLE, WIDTH)
    assert reopened.counts() == GalleryCounts(21, 22)
    assert len(reopened.get_vessels([v.id for v in enrolled])) == 20
    assert reopened.get_vessels([deleted.id]) == {}
    [hit] = search(reopened, query(), SightingFilter(vessel_types=("tanker",)), 30)
    assert hit.vessel.id == first.id
    assert len(hit.hits) == 2
    reopened.close()


def test_the_log_survives_many_rotations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.storage.edge.shard.FLUSH_EVERY", 3)
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    vessels = [enrol(gallery, 0.5) for _ in range(20)]
    gallery.close()
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    assert gallery.get_vessels([v.id for v in vessels]).keys() == {v.id for v in vessels}
    assert gallery.counts() == GalleryCounts(20, 20)
    gallery.close()


def test_a_second_process_is_refused_with_advice(folder: Path) -> None:
    gallery = EdgeGallery(folder, "b", 4)
    second = subprocess.run(
        [sys.executable, "-c", OPEN_AND_REPORT, str(folder)], capture_output=True, text=True
    )
    assert second.returncode != 0
    assert f"another process has the gallery in {folder} open" in second.stderr
    assert "CROSSFIX_QDRANT_URL" in second.stderr
    gallery.close()
    third = subprocess.run([sys.executable, "-c", OPEN_AND_REPORT, str(folder)])
    assert third.returncode == 0


def test_each_bundle_has_its_own_sightings(folder: Path) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    vessel = enrol(gallery, 0.9)
    gallery.close()
    other = EdgeGallery(folder, "sha256:another", WIDTH // 2)
    assert other.get_vessels([vessel.id]) == {vessel.id: vessel}
    assert other.sightings_of([vessel.id]) == []
    assert other.counts() == GalleryCounts(1, 0)
    other.close()


def test_the_same_bundle_with_another_width_is_refused(folder: Path) -> None:
    EdgeGallery(folder, BUNDLE, WIDTH).close()
    with pytest.raises(StoreUnavailableError, match=r"holds vectors of 16 numbers.*makes 8"):
        EdgeGallery(folder, BUNDLE, 8)
    EdgeGallery(folder, BUNDLE, WIDTH).close()


def damage_segments(shard: Path) -> None:
    for file in (shard / "segments").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damage")


def lose_segments(shard: Path) -> None:
    shutil.rmtree(shard / "segments")


def damage_config(shard: Path) -> None:
    (shard / "edge_config.json").write_text("{")


def damage_log(shard: Path) -> None:
    for file in (shard / "wal").glob("open-*"):
        file.write_bytes(b"damage")


def damage_marker(shard: Path) -> None:
    (shard / "crossfix.json").write_text("[]")


@pytest.mark.parametrize(
    "damage", [damage_segments, lose_segments, damage_config, damage_log, damage_marker]
)
def test_a_damaged_folder_is_reported_and_left_unchanged(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    enrol(gallery, 0.9)
    gallery.close()
    shard = folder / f"sightings-{BUNDLE}"
    damage(shard)
    before = set(shard.glob("segments/*"))
    with pytest.raises(StoreUnavailableError, match=r"damaged.*restore the folder") as caught:
        EdgeGallery(folder, BUNDLE, WIDTH)
    assert str(shard) in str(caught.value)
    assert set(shard.glob("segments/*")) == before


def test_an_interrupted_creation_is_completed(folder: Path) -> None:
    EdgeGallery(folder, BUNDLE, WIDTH).close()
    (folder / "vessels" / "crossfix.json").unlink()
    (folder / f"sightings-{BUNDLE}" / "crossfix.json").unlink()
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    enrol(gallery, 0.9)
    gallery.close()
    marker = json.loads((folder / f"sightings-{BUNDLE}" / "crossfix.json").read_text())
    assert marker == {"width": WIDTH}


def test_a_write_on_a_full_disk_is_refused_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EdgeGallery(folder, BUNDLE, WIDTH).close()
    full = "service.storage.local.disk_space.MIN_FREE_BYTES", 2**62
    with monkeypatch.context() as patch:
        patch.setattr(*full)
        with pytest.raises(StoreFullError, match="nothing was written"):
            EdgeGallery(folder, BUNDLE, WIDTH)
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    vessel = enrol(gallery, 0.9)
    monkeypatch.setattr(*full)
    with pytest.raises(StoreFullError):
        gallery.put_vessel(make_vessel())
    with pytest.raises(StoreFullError):
        gallery.put_sightings([embedded(0.5, vessel)], vessel)
    assert gallery.counts() == GalleryCounts(1, 1)
    assert len(search(gallery, query(), SightingFilter(), 5)) == 1
    gallery.close()


def test_a_write_is_not_acknowledged_when_the_sync_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("service.storage.edge.log_files.os.fsync", refuse)
        with pytest.raises(StoreUnavailableError, match="Input/output error"):
            gallery.put_vessel(make_vessel())
    gallery.put_vessel(make_vessel())
    gallery.close()


def test_a_closed_gallery_refuses_calls(folder: Path) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    gallery.close()
    gallery.close()
    for call in (
        gallery.ping,
        lambda: gallery.put_vessel(make_vessel()),
        lambda: gallery.get_vessels([make_vessel().id]),
        lambda: search(gallery, query(), SightingFilter(), 3),
    ):
        with pytest.raises(StoreUnavailableError):
            call()


def test_a_folder_that_cannot_be_created_is_reported(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").write_text("a file")
    with pytest.raises(StoreUnavailableError, match="cannot use the folder"):
        EdgeGallery(folder / "file" / "gallery", BUNDLE, WIDTH)


def test_deleted_sightings_are_dropped_from_disk_on_opening(folder: Path) -> None:
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    vessel = make_vessel()
    gallery.put_vessel(vessel)
    batch = [embedded(0.5, vessel) for _ in range(2000)]
    gallery.put_sightings(batch, vessel)
    gallery.delete_sightings([one.sighting.id for one in batch[:1500]])
    gallery.close()
    gallery = EdgeGallery(folder, BUNDLE, WIDTH)
    assert gallery.counts() == GalleryCounts(1, 500)
    assert len(gallery.sightings_of([vessel.id])) == 500
    assert gallery._sightings.shard._shard.info().points_count == 500
    gallery.close()


def test_indexes_that_are_used_no_more_are_removed(tmp_path: Path) -> None:
    word, place = edge.PayloadSchemaType.Keyword, edge.PayloadSchemaType.Geo
    former = Shard(tmp_path, WIDTH, {"word": word, "place": place})
    former.close()
    shard = Shard(tmp_path, WIDTH, {"word": word})
    assert set(shard._shard.info().payload_schema) == {"word"}
    shard.close()
