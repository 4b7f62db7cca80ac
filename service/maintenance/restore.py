"""Put a backup into an empty place, and read everything back."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np

from service.contract.bundle import open_bundle
from service.identity.errors import ConflictError, StoreUnavailableError
from service.identity.records.sightings import EmbeddedSighting
from service.maintenance.backup import BackupStores
from service.maintenance.backup_format import (
    Advance,
    Counts,
    read_sightings,
    read_vessels,
    verify_backup,
)
from service.maintenance.backup_matches import compare_matches, restore_matches

BATCH = 256


T = TypeVar("T")


def restore(source: Path, stores: BackupStores, advance: Advance = lambda _: None) -> Counts:
    """Put a backup into an empty place, then read everything back and compare.

    Raises:
        ConflictError: the place is not empty.
        StoreUnavailableError: the backup is incomplete or damaged, or what was read back differs.
        StoreFullError: there is no room.
    """
    manifest = verify_backup(source)
    _require_empty(stores)
    for vessels in _batches(read_vessels(source)):
        stores.archive.put_vessels(vessels)
    for path in sorted((source / "chips").iterdir()):
        stores.chips.put(path.read_bytes())
        advance(1)
    for bundle, width in manifest["bundles"].items():
        stores.archive.prepare(bundle, width)
        for batch in _batches(read_sightings(source, bundle, width)):
            owners = stores.archive.get_vessels(_owners(batch))
            stores.archive.put_sightings(bundle, batch, owners)
            advance(len(batch))
    restore_matches(source, stores.matches, advance)
    if (source / "audit").is_dir():
        stores.audit.copy_from(source / "audit")
    for folder in sorted((source / "bundles").glob("*")):
        stores.bundles.put(open_bundle(folder))
    _compare(source, stores, manifest)
    if manifest["active"] is not None:
        stores.archive.activate(manifest["active"])
    return Counts(**manifest["counts"])


def _require_empty(stores: BackupStores) -> None:
    if next(stores.archive.vessels(), None) is not None or stores.archive.bundles():
        raise ConflictError("there is a gallery already; restore into an empty place")
    if next(stores.matches.all(), None) is not None:
        raise ConflictError("there are remembered matches already; restore into an empty place")
    if not stores.audit.is_empty():
        raise ConflictError(
            f"there is an audit log in {stores.audit.describe()} already; restore into an empty place"
        )
    if installed := stores.bundles.ids():
        raise ConflictError(
            f"bundle {installed[0]} is installed already; restore into an empty place"
        )


def _compare(source: Path, stores: BackupStores, manifest: dict[str, Any]) -> None:
    """Read everything back from the stores; raises StoreUnavailableError where it differs."""
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
                    f"sighting {one.sighting.id} was not restored as it was"
                )
            stores.chips.get(one.sighting.chip_sha256)
        if count != len(written):
            raise StoreUnavailableError(
                f"bundle {bundle} has {len(written)} sightings, not {count}"
            )
    compare_matches(source, stores.matches)


def _owners(batch: list[EmbeddedSighting]) -> set[UUID]:
    return {one.sighting.vessel_id for one in batch if one.sighting.vessel_id is not None}


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch
