"""Write the gallery, match records, chips, bundles and audit log into one folder."""

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from service.contract.durable_files import sync_folder
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.audit import AuditArchive
from service.identity.ports.bundles import BundleStore
from service.identity.ports.chips import ChipStore
from service.identity.ports.matches import MatchStore
from service.identity.records.vessels import Vessel
from service.maintenance.backup_format import (
    FORMAT,
    MANIFEST,
    Advance,
    Counts,
    read_records,
    sha256,
    walk,
)
from service.maintenance.backup_matches import write_matches


@dataclass(frozen=True, slots=True)
class BackupStores:
    """What is backed up, and where it is restored to.

    Whoever has the archive open may open the matches beside it: they are closed first.
    """

    archive: GalleryArchive
    chips: ChipStore
    audit: AuditArchive
    bundles: BundleStore
    matches: MatchStore

    def close(self) -> None:
        self.matches.close()
        self.archive.close()
        self.chips.close()
        self.bundles.close()


def back_up(
    stores: BackupStores, target: Path, now: datetime, advance: Advance = lambda _: None
) -> Counts:
    """Write a backup; services may go on meanwhile where the storage lets them.

    What is begun after `now` may be left out, but whole vessels are: a vessel registered meanwhile
    is not in the backup, nor are its sightings and the matches that asked about them. The folder
    appears when it is complete.

    Args:
        stores: what to back up.
        target: a folder that does not exist yet.
        now: the present, UTC.
        advance: told the number of sightings, chips and matches written, as they are.

    Raises:
        ConflictError: `target` exists.
        StoreUnavailableError, StoreFullError: something cannot be read or written.
    """
    if target.exists():
        raise ConflictError(f"{target} exists; name a folder that does not")
    fresh = target.with_name(f"{target.name}.incomplete")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        counts = _write(stores, fresh, now, advance)
        fresh.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write the backup {target}: {error}") from error
    return counts


def _write(stores: BackupStores, folder: Path, now: datetime, advance: Advance) -> Counts:
    counts = Counts()
    for part in ("sightings", "chips", "audit", "bundles"):
        (folder / part).mkdir(parents=True)
    active, bundles = stores.archive.active(), stores.archive.bundles()
    # Vessels after sightings: whatever sighting was read, its vessel is known or has been deleted.
    for bundle in bundles:
        _write_sightings(stores.archive, bundle, folder / "sightings" / f"{bundle}.all")
    vessels = {v.id: v for v in stores.archive.vessels() if v.created_at <= now}
    gone = _deleted_meanwhile(stores.archive, folder, bundles)
    with (folder / "vessels.jsonl").open("w") as file:
        file.writelines(vessel.model_dump_json() + "\n" for vessel in vessels.values())
    counts.vessels = len(vessels)
    kept: set[str] = set()
    for bundle, width in bundles.items():
        path = folder / "sightings" / f"{bundle}.all"
        lost = _copy_chips(stores, path, kept, folder / "chips", advance)
        counts.sightings[bundle] = _filter(path, width, vessels, lost, gone)
        advance(counts.sightings[bundle])
    counts.chips = len(kept)
    whole = _sightings_written(folder, bundles)
    counts.matches = write_matches(folder, stores.matches, stores.archive, whole, now)
    advance(counts.matches)
    counts.audit_chains = stores.audit.copy_to(folder / "audit")
    _copy_bundles(stores.bundles, folder / "bundles")
    _seal(folder, {"created_at": now.isoformat(), "active": active, "bundles": bundles}, counts)
    return counts


def _sightings_written(folder: Path, bundles: Collection[str]) -> set[UUID]:
    return {
        one.id
        for bundle in bundles
        for one in read_records(folder / "sightings" / f"{bundle}.jsonl")
    }


def _write_sightings(archive: GalleryArchive, bundle: str, path: Path) -> None:
    with path.open("w") as records, path.with_suffix(".vectors").open("wb") as vectors:
        for one in archive.sightings(bundle):
            records.write(one.sighting.model_dump_json() + "\n")
            vectors.write(one.vector.astype("<f4").tobytes())


def _deleted_meanwhile(
    archive: GalleryArchive, folder: Path, bundles: Collection[str]
) -> set[UUID]:
    """Sightings that were read and are there no more.

    One may have been deleted after it was read from one bundle and before the next was read; it
    must not come back when the gallery moves to the first.
    """
    gone: set[UUID] = set()
    for bundle in bundles:
        read = {one.id for one in read_records(folder / "sightings" / f"{bundle}.all")}
        gone |= read - archive.sighting_ids(bundle)
    return gone


def _copy_chips(
    stores: BackupStores, records: Path, kept: set[str], folder: Path, advance: Advance
) -> set[str]:
    """Copy what the sightings show; returns the digests that were deleted meanwhile.

    Raises:
        StoreUnavailableError: a chip is lost or damaged although its sighting is there.
    """
    lost: set[str] = set()
    for sighting in read_records(records):
        digest = sighting.chip_sha256
        if digest in kept or digest in lost:
            continue
        try:
            (folder / digest).write_bytes(stores.chips.get(digest))
        except NotFoundError as error:
            if stores.archive.get_sightings(sighting.bundle_id, [sighting.id]):
                raise StoreUnavailableError(
                    f"chip {digest} of sighting {sighting.id} is lost; delete the sighting, or "
                    "upload the chip again"
                ) from error
            lost.add(digest)
            continue
        kept.add(digest)
        advance(1)
    return lost


def _filter(
    path: Path, width: int, vessels: dict[UUID, Vessel], lost: set[str], gone: set[UUID]
) -> int:
    """Keep the sightings whose vessel and chip are part of the backup; returns their number.

    Args:
        path: the records that were read; their embeddings lie beside them.
        width: D of the embeddings.
        vessels: those of the backup.
        lost: digests of chips that were deleted meanwhile.
        gone: sightings that were.
    """
    count, stem = 0, path.with_suffix("")
    with (
        path.with_suffix(".vectors").open("rb") as old,
        Path(f"{stem}.jsonl").open("w") as records,
        Path(f"{stem}.f32").open("wb") as vectors,
    ):
        for sighting in read_records(path):
            vector = old.read(4 * width)
            known = sighting.vessel_id is None or sighting.vessel_id in vessels
            if known and sighting.chip_sha256 not in lost and sighting.id not in gone:
                records.write(sighting.model_dump_json() + "\n")
                vectors.write(vector)
                count += 1
    path.unlink()
    path.with_suffix(".vectors").unlink()
    return count


def _copy_bundles(shelf: BundleStore, target: Path) -> None:
    for bundle_id in shelf.ids():
        found = shelf.find(bundle_id)
        if found is not None:
            shutil.copytree(found, target / bundle_id)


def _seal(folder: Path, facts: dict[str, Any], counts: Counts) -> None:
    """Write the manifest and bring everything to disk."""
    files = {}
    for name in sorted(walk(folder)):
        files[name] = sha256(folder / name)
        _sync(folder / name)
    manifest = {"format": FORMAT, **facts, "counts": counts.document(), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    _sync(folder / MANIFEST)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
