"""Restore a backup into empty stores, and read everything back."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from service.contract.batches import in_batches
from service.contract.bundle import open_bundle
from service.identity.errors import ConflictError, StoreUnavailableError
from service.maintenance.backup import BackupStores
from service.maintenance.backup_format import Counts, read_sightings, read_vessels, verify_backup
from service.maintenance.backup_matches import compare_matches, restore_matches
from service.maintenance.progress import Progress, ignore_progress

BATCH = 256


class UnfinishedMarker(Protocol):
    """The marker that a restore began and has not ended; it outlasts the process."""

    def is_set(self) -> bool:
        """Return whether an earlier restore has not ended."""

    def set(self) -> None:
        """Set the marker durably."""

    def clear(self) -> None:
        """Remove the marker."""


def restore(
    source: Path,
    stores: BackupStores,
    unfinished: UnfinishedMarker | None = None,
    advance: Progress = ignore_progress,
) -> Counts:
    """Restore a backup into empty stores, then read everything back and compare.

    Args:
        unfinished: set before the first write, and cleared after the last.
        advance: receives the number of chips, sightings and matches restored.

    Raises:
        ConflictError: a store is not empty.
        StoreUnavailableError: the backup is incomplete or damaged, or the stores hold something
            else than was written.
        StoreFullError: there is no space.
    """
    manifest = verify_backup(source)
    try:
        _require_empty(stores)
    except ConflictError as error:
        if unfinished is not None and unfinished.is_set():
            raise ConflictError(f"{error}; a restore that was interrupted left it") from error
        raise
    if unfinished is not None:
        unfinished.set()
    for vessels in in_batches(read_vessels(source), BATCH):
        stores.archive.put_vessels(vessels)
    for path in sorted((source / "chips").iterdir()):
        stores.chips.put(path.read_bytes())
        advance(1)
    for bundle, width in manifest["bundles"].items():
        stores.archive.prepare(bundle, width)
        for batch in in_batches(read_sightings(source, bundle, width), BATCH):
            owners = {one.sighting.vessel_id for one in batch if one.sighting.vessel_id}
            stores.archive.put_sightings(bundle, batch, stores.archive.get_vessels(owners))
            advance(len(batch))
    restore_matches(source, stores.matches, advance)
    stores.audit.copy_from(source / "audit")
    for folder in sorted((source / "bundles").glob("*")):
        stores.bundles.put(open_bundle(folder))
    _compare(source, stores, manifest)
    if manifest["active"] is not None:
        stores.archive.activate(manifest["active"])
    if unfinished is not None:
        unfinished.clear()
    return Counts(**manifest["counts"])


def _require_empty(stores: BackupStores) -> None:
    if next(stores.archive.vessels(), None) is not None or stores.archive.bundles():
        raise ConflictError("there is a gallery already; restore into empty stores")
    if next(stores.matches.all(), None) is not None:
        raise ConflictError("there are match records already; restore into empty stores")
    if not stores.audit.is_empty():
        raise ConflictError(
            f"there is an audit log in {stores.audit.describe()} already; restore into empty stores"
        )
    if installed := stores.bundles.ids():
        raise ConflictError(
            f"bundle {installed[0]} is installed already; restore into empty stores"
        )


def _compare(source: Path, stores: BackupStores, manifest: dict[str, Any]) -> None:
    """Read everything back from the stores; raise StoreUnavailableError if it differs."""
    if {v.id: v for v in stores.archive.vessels()} != {v.id: v for v in read_vessels(source)}:
        raise StoreUnavailableError("the vessels that were restored differ from the backup")
    for bundle, width in manifest["bundles"].items():
        written = {one.sighting.id: one for one in stores.archive.sightings(bundle)}
        count = 0
        for one in read_sightings(source, bundle, width):
            found = written.get(one.sighting.id)
            count += 1
            if (
                found is None
                or found.sighting != one.sighting
                or not np.allclose(found.vector, one.vector, atol=1e-6)
            ):
                raise StoreUnavailableError(
                    f"sighting {one.sighting.id} differs from the backup after the restore"
                )
            stores.chips.get(one.sighting.chip_sha256)
        if count != len(written):
            raise StoreUnavailableError(
                f"bundle {bundle} has {len(written)} sightings, not {count}"
            )
    compare_matches(source, stores.matches)
