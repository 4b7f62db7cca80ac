"""The gallery, remembered matches, chips and audit log in one folder, and back into an empty place.

    manifest.json                 what there is, how much, and the SHA-256 of every file
    vessels.jsonl                 one vessel a line
    sightings/<bundle>.jsonl      one sighting a line
    sightings/<bundle>.f32        their embeddings in the same order, little-endian float32 [N, D]
    matches.jsonl                 one remembered match a line
    chips/<sha256>                original bytes
    audit/<replica>/…             the chains as they are
    bundles/<bundle>/…            bundles that were installed beside the gallery

It does not depend on the storage: an embedded gallery can be restored into a server and back.

What an unfinished re-embedding has copied and not looked at again is left out: the copied sighting
may have been deleted, and what is needed is copied again from the bundle that has it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np

from service.contract.bundle import open_bundle
from service.contract.durable_files import sync_folder
from service.identity.errors import ConflictError, NotFoundError, StoreUnavailableError
from service.identity.ports.archive import GalleryArchive
from service.identity.ports.bundles import BundleStore
from service.identity.ports.chips import ChipStore
from service.identity.ports.matches import MatchStore
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.maintenance.backup_matches import compare_matches, restore_matches, write_matches
from service.storage.audit.chain import HEAD_NAME, LOCK_NAME, chains

FORMAT = 2
READABLE = (1, FORMAT)
"""Format 1 has no remembered matches."""

MANIFEST = "manifest.json"
BATCH = 256

Advance = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BackupStores:
    """What is backed up, and where it is restored to.

    Whoever has the archive open may open the matches beside it: they are closed first.
    """

    archive: GalleryArchive
    chips: ChipStore
    audit: Path
    bundles: BundleStore
    matches: MatchStore

    def close(self) -> None:
        self.matches.close()
        self.archive.close()
        self.chips.close()
        self.bundles.close()


@dataclass(slots=True)
class Counts:
    """How much a backup holds; sightings by bundle, open ones included."""

    vessels: int = 0
    sightings: dict[str, int] = field(default_factory=dict)
    matches: int = 0
    chips: int = 0
    audit_chains: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "vessels": self.vessels,
            "sightings": self.sightings,
            "matches": self.matches,
            "chips": self.chips,
            "audit_chains": self.audit_chains,
        }


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


def restore(source: Path, stores: BackupStores, advance: Advance = lambda _: None) -> Counts:
    """Put a backup into an empty place, then read everything back and compare.

    Raises:
        ConflictError: the place is not empty.
        StoreUnavailableError: the backup is incomplete or damaged, or what was read back differs.
        StoreFullError: there is no room.
    """
    manifest = verify_backup(source)
    _require_empty(stores)
    for vessels in _batches(_read_vessels(source)):
        stores.archive.put_vessels(vessels)
    for path in sorted((source / "chips").iterdir()):
        stores.chips.put(path.read_bytes())
        advance(1)
    for bundle, width in manifest["bundles"].items():
        stores.archive.prepare(bundle, width)
        for batch in _batches(_read_sightings(source, bundle, width)):
            owners = stores.archive.get_vessels(_owners(batch))
            stores.archive.put_sightings(bundle, batch, owners)
            advance(len(batch))
    restore_matches(source, stores.matches, advance)
    if (source / "audit").is_dir():
        shutil.copytree(source / "audit", stores.audit, dirs_exist_ok=True)
    for folder in sorted((source / "bundles").glob("*")):
        stores.bundles.put(open_bundle(folder))
    _compare(source, stores, manifest)
    if manifest["active"] is not None:
        stores.archive.activate(manifest["active"])
    return Counts(**manifest["counts"])


def verify_backup(source: Path) -> dict[str, Any]:
    """The manifest of a backup, after every file was found to be as it was written.

    Raises:
        StoreUnavailableError: it is not a backup, or incomplete or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_bytes())
        if manifest["format"] not in READABLE:
            raise StoreUnavailableError(f"{source} is a backup of another version of Crossfix")
        present = set(_walk(source)) - {MANIFEST}
        for name in sorted(manifest["files"].keys() | present):
            known = manifest["files"].get(name)
            if known is None or name not in present or _sha256(source / name) != known:
                state = "not part of it" if known is None else "missing or damaged"
                raise StoreUnavailableError(f"the backup {source} is not sound: {name} is {state}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailableError(f"{source} is not a complete backup: {error}") from error
    return manifest


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
    counts.audit_chains = _copy_audit(stores.audit, folder / "audit")
    _copy_bundles(stores.bundles, folder / "bundles")
    _seal(folder, {"created_at": now.isoformat(), "active": active, "bundles": bundles}, counts)
    return counts


def _sightings_written(folder: Path, bundles: Collection[str]) -> set[UUID]:
    return {
        one.id
        for bundle in bundles
        for one in _read_records(folder / "sightings" / f"{bundle}.jsonl")
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
        read = {one.id for one in _read_records(folder / "sightings" / f"{bundle}.all")}
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
    for sighting in _read_records(records):
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
        for sighting in _read_records(path):
            vector = old.read(4 * width)
            known = sighting.vessel_id is None or sighting.vessel_id in vessels
            if known and sighting.chip_sha256 not in lost and sighting.id not in gone:
                records.write(sighting.model_dump_json() + "\n")
                vectors.write(vector)
                count += 1
    path.unlink()
    path.with_suffix(".vectors").unlink()
    return count


def _copy_audit(root: Path, target: Path) -> int:
    """Heads before entries, so that a chain that grows meanwhile is never shorter than its head."""
    found = chains(root)
    for chain in found:
        (target / chain.name).mkdir()
        kept = (path.name for path in chain.iterdir() if path.suffix != ".tmp")
        names = sorted(name for name in kept if name != LOCK_NAME)
        for name in sorted(names, key=lambda one: one != HEAD_NAME):
            shutil.copyfile(chain / name, target / chain.name / name)
    return len(found)


def _copy_bundles(shelf: BundleStore, target: Path) -> None:
    for bundle_id in shelf.ids():
        found = shelf.find(bundle_id)
        if found is not None:
            shutil.copytree(found, target / bundle_id)


def _seal(folder: Path, facts: dict[str, Any], counts: Counts) -> None:
    """Write the manifest and bring everything to disk."""
    files = {}
    for name in sorted(_walk(folder)):
        files[name] = _sha256(folder / name)
        _sync(folder / name)
    manifest = {"format": FORMAT, **facts, "counts": counts.document(), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    _sync(folder / MANIFEST)


def _require_empty(stores: BackupStores) -> None:
    if next(stores.archive.vessels(), None) is not None or stores.archive.bundles():
        raise ConflictError("there is a gallery already; restore into an empty place")
    if next(stores.matches.all(), None) is not None:
        raise ConflictError("there are remembered matches already; restore into an empty place")
    if stores.audit.is_dir() and any(stores.audit.iterdir()):
        raise ConflictError(
            f"there is an audit log in {stores.audit} already; restore into an empty place"
        )
    if installed := stores.bundles.ids():
        raise ConflictError(
            f"bundle {installed[0]} is installed already; restore into an empty place"
        )


def _compare(source: Path, stores: BackupStores, manifest: dict[str, Any]) -> None:
    """Read everything back from the stores; raises StoreUnavailableError where it differs."""
    if {v.id: v for v in stores.archive.vessels()} != {v.id: v for v in _read_vessels(source)}:
        raise StoreUnavailableError("the vessels that were restored differ from the backup")
    for bundle, width in manifest["bundles"].items():
        written = {one.sighting.id: one for one in stores.archive.sightings(bundle)}
        count = 0
        for one in _read_sightings(source, bundle, width):
            found = written.get(one.sighting.id)
            count += 1
            if (
                found is None
                or found.sighting != one.sighting
                or not np.allclose(found.vector, one.vector, atol=1e-6)
            ):
                raise StoreUnavailableError(
                    f"sighting {one.sighting.id} was not restored as it was"
                )
            stores.chips.get(one.sighting.chip_sha256)
        if count != len(written):
            raise StoreUnavailableError(
                f"bundle {bundle} has {len(written)} sightings, not {count}"
            )
    compare_matches(source, stores.matches)


def _read_vessels(source: Path) -> Iterator[Vessel]:
    with (source / "vessels.jsonl").open("rb") as file:
        for line in file:
            yield Vessel.from_record(line)


def _read_records(path: Path) -> Iterator[Sighting]:
    with path.open("rb") as file:
        for line in file:
            yield Sighting.model_validate_json(line)


def _read_sightings(source: Path, bundle: str, width: int) -> Iterator[EmbeddedSighting]:
    stem = source / "sightings" / bundle
    with Path(f"{stem}.f32").open("rb") as vectors:
        for sighting in _read_records(Path(f"{stem}.jsonl")):
            yield EmbeddedSighting(sighting, np.frombuffer(vectors.read(4 * width), dtype="<f4"))


def _owners(batch: list[EmbeddedSighting]) -> set[UUID]:
    return {one.sighting.vessel_id for one in batch if one.sighting.vessel_id is not None}


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def _walk(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
