"""Write the gallery, match records, chips, bundles and audit log into one folder."""

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from service.contract.durable_files import sync_files, sync_folder
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
    Counts,
    list_files,
    read_records,
    sha256,
)
from service.maintenance.backup_matches import write_matches
from service.maintenance.progress import Progress, ignore_progress


@dataclass(frozen=True, slots=True)
class BackupStores:
    """The stores that a backup reads and a restore writes."""

    archive: GalleryArchive
    chips: ChipStore
    audit: AuditArchive
    bundles: BundleStore
    matches: MatchStore

    def close(self) -> None:
        """Close all stores; the archive's lock covers the matches, which are closed first."""
        self.matches.close()
        self.archive.close()
        self.chips.close()
        self.bundles.close()


def back_up(
    stores: BackupStores, target: Path, now: datetime, advance: Progress = ignore_progress
) -> Counts:
    """Write a backup; services may run meanwhile where the storage allows it.

    Changes that begin after `now` may be left out, but only as whole vessels: a vessel registered
    meanwhile is left out together with its sightings and the matches of these sightings. The folder
    appears when it is complete.

    Args:
        target: a folder that does not exist yet.
        advance: receives the number of sightings, chips and matches written.

    Raises:
        ConflictError: `target` exists.
        StoreUnavailableError, StoreFullError: a store cannot be read, or `target` not be written.
    """
    if target.exists():
        raise ConflictError(f"{target} exists; name a folder that does not")
    incomplete = target.with_name(f"{target.name}.incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    try:
        counts = _write(stores, incomplete, now, advance)
        incomplete.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write the backup {target}: {error}") from error
    return counts


def holds_nothing(stores: BackupStores) -> bool:
    """Return whether there is no vessel, no sighting and no match record."""
    return (
        next(stores.archive.vessels(), None) is None
        and not any(stores.archive.sighting_ids(bundle) for bundle in stores.archive.bundles())
        and next(stores.matches.all(), None) is None
    )


def _write(stores: BackupStores, folder: Path, now: datetime, advance: Progress) -> Counts:
    counts = Counts()
    for part in ("sightings", "chips", "audit", "bundles"):
        (folder / part).mkdir(parents=True)
    active, bundles = stores.archive.active(), stores.archive.bundles()
    # Vessels after sightings: the vessel of a sighting that was read is then known, or deleted.
    for bundle in bundles:
        _write_sightings(stores.archive, bundle, folder / "sightings" / f"{bundle}.all")
    vessels = {v.id: v for v in stores.archive.vessels() if v.created_at <= now}
    deleted = _sightings_deleted_meanwhile(stores.archive, folder, bundles)
    with (folder / "vessels.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(vessel.model_dump_json() + "\n" for vessel in vessels.values())
    counts.vessels = len(vessels)
    copied: set[str] = set()
    for bundle, width in bundles.items():
        path = folder / "sightings" / f"{bundle}.all"
        deleted_chips = _copy_chips(stores, path, copied, folder / "chips", advance)
        counts.sightings[bundle] = _filter(path, width, vessels, deleted_chips, deleted)
        advance(counts.sightings[bundle])
    counts.chips = len(copied)
    written = _sighting_ids(folder, bundles, "jsonl")
    counts.matches = write_matches(folder, stores.matches, stores.archive, written, now)
    advance(counts.matches)
    counts.audit_chains = stores.audit.copy_to(folder / "audit")
    _copy_bundles(stores.bundles, folder / "bundles")
    facts = {"created_at": now.isoformat(), "active": active, "bundles": bundles}
    _write_manifest(folder, facts, counts)
    return counts


def _sighting_ids(folder: Path, bundles: Collection[str], suffix: str) -> set[UUID]:
    return {
        sighting.id
        for bundle in bundles
        for sighting in read_records(folder / "sightings" / f"{bundle}.{suffix}")
    }


def _write_sightings(archive: GalleryArchive, bundle: str, path: Path) -> None:
    with (
        path.open("w", encoding="utf-8") as records,
        path.with_suffix(".vectors").open("wb") as vectors,
    ):
        for one in archive.sightings(bundle):
            records.write(one.sighting.model_dump_json() + "\n")
            vectors.write(one.vector.astype("<f4").tobytes())


def _sightings_deleted_meanwhile(
    archive: GalleryArchive, folder: Path, bundles: Collection[str]
) -> set[UUID]:
    """Return the sightings that were read and do not exist any more.

    A sighting may be deleted after it was read from one bundle and before the next bundle is read;
    it must not come back when the gallery moves to the first bundle.
    """
    deleted: set[UUID] = set()
    for bundle in bundles:
        deleted |= _sighting_ids(folder, [bundle], "all") - archive.sighting_ids(bundle)
    return deleted


def _copy_chips(
    stores: BackupStores, records: Path, copied: set[str], folder: Path, advance: Progress
) -> set[str]:
    """Copy the chips of the sightings; return the digests of chips deleted meanwhile."""
    deleted: set[str] = set()
    for sighting in read_records(records):
        digest = sighting.chip_sha256
        if digest in copied or digest in deleted:
            continue
        try:
            (folder / digest).write_bytes(stores.chips.get(digest))
        except NotFoundError as error:
            if stores.archive.get_sightings(sighting.bundle_id, [sighting.id]):
                raise StoreUnavailableError(
                    f"chip {digest} of sighting {sighting.id} is lost; delete the sighting, or "
                    "upload the chip again"
                ) from error
            deleted.add(digest)
            continue
        copied.add(digest)
        advance(1)
    return deleted


def _filter(
    path: Path, width: int, vessels: dict[UUID, Vessel], deleted_chips: set[str], deleted: set[UUID]
) -> int:
    """Keep the sightings whose vessel and chip are part of the backup; return their number.

    Args:
        path: the records that were read; their embeddings are in the file beside it.
        deleted_chips: digests of chips that were deleted meanwhile.
        deleted: sightings that were deleted meanwhile.
    """
    count, stem = 0, path.with_suffix("")
    with (
        path.with_suffix(".vectors").open("rb") as old,
        Path(f"{stem}.jsonl").open("w", encoding="utf-8") as records,
        Path(f"{stem}.f32").open("wb") as vectors,
    ):
        for sighting in read_records(path):
            vector = old.read(4 * width)  # float32
            known = sighting.vessel_id is None or sighting.vessel_id in vessels
            if known and sighting.chip_sha256 not in deleted_chips and sighting.id not in deleted:
                records.write(sighting.model_dump_json() + "\n")
                vectors.write(vector)
                count += 1
    path.unlink()
    path.with_suffix(".vectors").unlink()
    return count


def _copy_bundles(bundles: BundleStore, target: Path) -> None:
    for bundle_id in bundles.ids():
        found = bundles.find(bundle_id)
        if found is not None:
            shutil.copytree(found, target / bundle_id)


def _write_manifest(folder: Path, facts: dict[str, Any], counts: Counts) -> None:
    """Write the manifest, and flush all files to disk."""
    files = {name: sha256(folder / name) for name in sorted(list_files(folder))}
    manifest = {"format": FORMAT, **facts, "counts": asdict(counts), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    sync_files(folder)
