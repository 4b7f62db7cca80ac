"""What every `GalleryArchive` does; changes reach the sightings of every bundle."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.identity.records.sightings import EmbeddedSighting, GalleryCounts, SightingFilter
from service.maintenance.backup import back_up
from service.maintenance.reembed import Reembedding, Share
from service.maintenance.restore import restore
from service.storage.audit.check import verify_audit
from service.storage.audit.log import open_audit_log
from tests.support.fakes.chips import FakeChipStore
from tests.support.fakes.records import START, WIDTH, embedded, query
from tests.support.galleries import search
from tests.support.inputs.chips import optical_png
from tests.support.stores import (
    NEW,
    NEW_WIDTH,
    OLD,
    KilledError,
    Site,
    embed,
    enrol,
    kill_after_first_write,
    move_to_new_bundle,
    prepare_reembedding,
    stores,
)


def test_the_first_service_makes_its_bundle_the_active_one(site: Site) -> None:
    archive = site.archive()
    assert archive.active() is None
    archive.close()
    gallery = site.service()
    gallery.ping()
    gallery.close()
    archive = site.archive()
    assert archive.active() == OLD
    assert archive.bundles() == {OLD: WIDTH}
    archive.close()


def test_the_whole_gallery_is_read_with_its_vectors(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1, 2], name="A", type="Tanker")
    gallery = site.service()
    open_one = embedded(0.25)
    gallery.put_sightings([open_one], None)
    gallery.close()
    archive = site.archive()
    assert list(archive.vessels()) == [vessel]
    rows = {one.sighting.id: one for one in archive.sightings(OLD)}
    assert rows.keys() == archive.sighting_ids(OLD)
    assert {one.sighting.vessel_id for one in rows.values()} == {vessel.id, None}
    found = rows[open_one.sighting.id]
    assert found.sighting == open_one.sighting
    np.testing.assert_allclose(found.vector, open_one.vector, atol=1e-6)
    archive.close()


def test_every_sighting_is_embedded_again_and_served_after_one_step(
    site: Site, chips: FakeChipStore
) -> None:
    vessel = enrol(site, chips, [1, 2, 3], type="Tanker", length_m=180.0)
    before = site.archive()
    ids = before.sighting_ids(OLD)
    before.close()
    move_to_new_bundle(site, chips)
    service = site.service(NEW, NEW_WIDTH)
    assert service.counts() == GalleryCounts(1, 3)
    sightings = service.sightings_of([vessel.id])
    assert {one.id for one in sightings} == ids, "a sighting keeps its id"
    assert {one.bundle_id for one in sightings} == {NEW}
    service.close()
    archive = site.archive()
    assert archive.active() == NEW
    digests = {chips.put(optical_png(seed, height=12, width=8)) for seed in (1, 2, 3)}
    assert {one.sighting.chip_sha256 for one in archive.sightings(NEW)} == digests
    for one in archive.sightings(NEW):
        expected = np.random.default_rng(int(one.sighting.chip_sha256[:8], 16)).normal(
            size=NEW_WIDTH
        )
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(one.vector, expected, atol=1e-6)
    archive.close()


def test_the_bundle_is_not_switched_while_embeddings_are_missing(
    site: Site, chips: FakeChipStore
) -> None:
    enrol(site, chips, range(6))
    archive = site.archive()
    task = prepare_reembedding(archive, chips)
    shares = [task.missing(task.shares_of_others(Share(number, 3))) for number in range(3)]
    assert sorted(one for share in shares for one in share) == task.missing()
    task.embed(shares[0])
    with pytest.raises(ConflictError, match="have no embedding"):
        task.switch()
    assert archive.active() == OLD
    task.embed([*shares[1], *shares[2]])
    task.switch()
    assert archive.active() == NEW
    archive.close()


def test_a_stopped_run_continues_where_it_stopped(site: Site, chips: FakeChipStore) -> None:
    enrol(site, chips, range(40))
    archive = site.archive()
    task = prepare_reembedding(archive, chips)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.embed(task.missing(), stop)
    assert 0 < len(task.missing()) < 40
    assert task.embed(task.missing()) < 40
    task.switch()
    archive.close()


def test_a_lost_chip_stops_the_re_embedding(site: Site, chips: FakeChipStore) -> None:
    enrol(site, chips, [1, 2])
    chips.data.popitem()
    archive = site.archive()
    task = prepare_reembedding(archive, chips)
    with pytest.raises(NotFoundError):
        task.embed(task.missing())
    archive.close()


def test_changes_reach_the_embeddings_of_every_bundle(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1, 2], type="Tanker")
    other = enrol(site, chips, [3])
    move_to_new_bundle(site, chips)
    service = site.service(NEW, NEW_WIDTH)
    first, second = service.sightings_of([vessel.id])
    service.delete_sightings([first.id])
    service.move_sightings([second.id], other)
    service.close()
    former = site.service()
    assert former.get_sighting(first.id) is None
    assert {s.id for s in former.sightings_of([other.id])} >= {second.id}
    assert former.sightings_of([vessel.id]) == []
    former.close()


def test_a_changed_type_is_known_in_every_bundle(site: Site, chips: FakeChipStore) -> None:
    vessel = enrol(site, chips, [1], type="Tanker")
    move_to_new_bundle(site, chips)
    service = site.service(NEW, NEW_WIDTH)
    changed = vessel.model_copy(update={"type": "Ferry"})
    service.put_vessel(changed)
    service.sync_vessel(changed)
    service.close()
    former = site.service()
    assert search(former, query(), SightingFilter(vessel_types=("ferry",)), 5)
    assert not search(former, query(), SightingFilter(vessel_types=("tanker",)), 5)
    former.close()


def test_a_chip_is_in_use_while_a_sighting_of_any_bundle_uses_it(
    site: Site, chips: FakeChipStore
) -> None:
    enrol(site, chips, [1])
    (digest,) = chips.data
    service = site.service(NEW, NEW_WIDTH)
    assert service.counts().sightings == 0
    assert service.uses_chip(digest)
    service.close()


def test_the_chips_of_every_bundle_are_listed(site: Site, chips: FakeChipStore) -> None:
    enrol(site, chips, [1, 2])
    move_to_new_bundle(site, chips)
    service = site.service(NEW, NEW_WIDTH)
    late = chips.put(optical_png(3, height=12, width=8))
    sighting = embedded(0.5, chip_sha256=late).sighting.model_copy(update={"bundle_id": NEW})
    service.put_sightings(
        [EmbeddedSighting(sighting, np.eye(NEW_WIDTH, dtype=np.float32)[0])], None
    )
    service.close()
    archive = site.archive()
    assert archive.chips_shown() == chips.data.keys()
    assert all(archive.uses_chip(digest) for digest in chips.data)
    assert not archive.uses_chip("0" * 64)
    archive.delete_sightings(NEW, [sighting.id])
    assert not archive.uses_chip(late)
    assert archive.chips_shown() == chips.data.keys() - {late}
    archive.close()


def test_changes_during_the_copy_are_applied(chips: FakeChipStore, quick_folder: Path) -> None:
    """With the server storage, services run while sightings are copied."""
    site = Site("memory", quick_folder)
    vessel = enrol(site, chips, [1, 2, 3])
    other = enrol(site, chips, [4])
    archive, service = site.archive(), site.service()
    deleted, moved, _ = service.sightings_of([vessel.id])

    def embed_slowly(several: Sequence[Chip]) -> list[NDArray[np.float32]]:
        service.delete_sightings([deleted.id])
        service.move_sightings([moved.id], other)
        return embed(several)

    archive.prepare(NEW, NEW_WIDTH)
    task = Reembedding(archive, chips, embed_slowly, OLD, NEW)
    task.embed(task.missing())
    copied = {one.sighting.id: one.sighting for one in archive.sightings(NEW)}
    assert deleted.id not in copied
    assert copied[moved.id].vessel_id == other.id
    task.switch()


@pytest.mark.parametrize("site", ["http"], indirect=True)
def test_changes_before_a_run_is_killed_are_applied_by_the_next_run(
    site: Site, chips: FakeChipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    vessel, other = enrol(site, chips, [1, 2, 3]), enrol(site, chips, [4])
    archive, service = site.archive(), site.service()
    deleted, moved, _ = service.sightings_of([vessel.id])

    def change() -> None:
        service.delete_sightings([deleted.id])
        service.move_sightings([moved.id], other)

    task = prepare_reembedding(archive, chips)
    with monkeypatch.context() as patch:
        kill_after_first_write(archive, patch, change)
        with pytest.raises(KilledError):
            task.embed(task.missing())
    assert deleted.id in archive.sighting_ids(NEW)
    prepare_reembedding(archive, chips).switch()
    copied = {one.sighting.id: one.sighting for one in archive.sightings(NEW)}
    assert deleted.id not in copied
    assert copied[moved.id].vessel_id == other.id
    assert archive.tentative(NEW) == set()


def test_moving_back_keeps_sightings_that_only_the_former_bundle_has(
    site: Site, chips: FakeChipStore
) -> None:
    """A replica may have enrolled them there late, so that the new bundle lacks them."""
    enrol(site, chips, [1])
    move_to_new_bundle(site, chips)
    late = enrol(site, chips, [2])
    archive = site.archive()
    Reembedding(archive, chips, embed, NEW, OLD).switch()
    assert len(archive.sighting_ids(OLD)) == 2
    archive.close()
    service = site.service()
    assert len(service.sightings_of([late.id])) == 1
    service.close()


def test_only_tentative_sightings_are_dropped(site: Site) -> None:
    archive = site.archive()
    archive.prepare(OLD, WIDTH)
    first, second, third = (embedded(0.5) for _ in range(3))
    archive.put_sightings(OLD, [first], {})
    archive.put_sightings(OLD, [second, third], {}, tentative=True)
    both = {second.sighting.id, third.sighting.id}
    assert archive.tentative(OLD) == both
    archive.confirm_sightings(OLD, [second.sighting.id, UUID(int=9)])
    assert archive.tentative(OLD) == {third.sighting.id}
    archive.drop_tentative(OLD, {first.sighting.id, *both})
    assert archive.sighting_ids(OLD) == {first.sighting.id, second.sighting.id}
    archive.close()


@pytest.mark.parametrize("into", ["edge", "memory"])
def test_a_backup_is_restored_into_either_storage(
    site: Site, chips: FakeChipStore, fresh: Callable[[str], Site], tmp_path: Path, into: str
) -> None:
    vessel = enrol(site, chips, [1, 2], name="A", type="Tanker")
    move_to_new_bundle(site, chips)
    open_audit_log(tmp_path / "audit", "one").close()
    source = stores(site, chips, tmp_path)
    counts = back_up(source, tmp_path / "backup", START)
    source.archive.close()
    assert asdict(counts) == {
        "vessels": 1,
        "sightings": {OLD: 2, NEW: 2},
        "matches": 0,
        "chips": 2,
        "audit_chains": 1,
    }
    elsewhere, other_chips = fresh(into), FakeChipStore()
    target = stores(elsewhere, other_chips, tmp_path / "there")
    assert restore(tmp_path / "backup", target) == counts
    assert target.archive.active() == NEW
    assert list(target.archive.vessels()) == [vessel]
    assert other_chips.data == chips.data
    assert verify_audit(tmp_path / "there" / "audit").findings == []
    target.archive.close()
    service = elsewhere.service(NEW, NEW_WIDTH)
    assert service.counts() == GalleryCounts(1, 2)
    service.close()


def test_an_existing_gallery_or_backup_is_not_overwritten(
    site: Site, chips: FakeChipStore, tmp_path: Path
) -> None:
    enrol(site, chips, [1])
    source = stores(site, chips, tmp_path)
    back_up(source, tmp_path / "backup", START)
    with pytest.raises(ConflictError, match="exists"):
        back_up(source, tmp_path / "backup", START)
    with pytest.raises(ConflictError, match="empty stores"):
        restore(tmp_path / "backup", source)
    source.archive.close()


def change_a_vector(folder: Path) -> None:
    path = folder / "sightings" / f"{OLD}.f32"
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def lose_a_chip(folder: Path) -> None:
    next((folder / "chips").iterdir()).unlink()


def add_a_file(folder: Path) -> None:
    (folder / "chips" / "extra").write_bytes(b"x")


def lose_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [change_a_vector, lose_a_chip, add_a_file, lose_the_manifest])
def test_a_damaged_backup_is_rejected_before_anything_is_written(
    damage: Callable[[Path], None], chips: FakeChipStore, tmp_path: Path
) -> None:
    site = Site("memory", tmp_path)
    enrol(site, chips, [1, 2])
    back_up(stores(site, chips, tmp_path), tmp_path / "backup", START)
    damage(tmp_path / "backup")
    target = stores(Site("memory", tmp_path), FakeChipStore(), tmp_path)
    with pytest.raises(StoreUnavailableError):
        restore(tmp_path / "backup", target)
    assert list(target.archive.vessels()) == []


def test_a_vessel_registered_after_the_backup_began_is_left_out(
    site: Site, chips: FakeChipStore, tmp_path: Path
) -> None:
    earlier = enrol(site, chips, [1])
    enrol(site, chips, [2], created_at=START + timedelta(seconds=1))
    source = stores(site, chips, tmp_path)
    counts = back_up(source, tmp_path / "backup", START)
    source.archive.close()
    assert (counts.vessels, counts.sightings) == (1, {OLD: 1})
    assert str(earlier.id) in (tmp_path / "backup" / "vessels.jsonl").read_text()


def test_sightings_of_other_bundles_or_unknown_vessels_are_rejected(site: Site) -> None:
    archive = site.archive()
    archive.prepare(NEW, NEW_WIDTH)
    vector = np.eye(NEW_WIDTH, dtype=np.float32)[0]
    foreign = embedded(0.5, None)
    with pytest.raises(ValueError, match="embeddings of bundle"):
        archive.put_sightings(NEW, [EmbeddedSighting(foreign.sighting, vector)], {})
    orphan = foreign.sighting.model_copy(update={"bundle_id": NEW, "vessel_id": UUID(int=7)})
    with pytest.raises(ValueError, match="unknown"):
        archive.put_sightings(NEW, [EmbeddedSighting(orphan, vector)], {})
    archive.close()


def test_open_sightings_that_an_archive_writes_are_grouped_anew(site: Site) -> None:
    gallery = site.service()
    open_one = embedded(0.25)
    gallery.put_sightings([open_one], None)
    gallery.place_in_group({open_one.sighting.id: None})
    gallery.close()
    archive = site.archive()
    archive.put_sightings(OLD, [open_one], {})
    archive.close()
    gallery = site.service()
    assert [one.sighting.id for one in gallery.ungrouped(5)] == [open_one.sighting.id]
    gallery.close()
