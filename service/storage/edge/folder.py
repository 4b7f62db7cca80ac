"""What lies in the folder of an embedded gallery: lock, shards, and the active bundle's name.

`vessels` is one shard, `sightings-<bundle>` another for each bundle, and `active.json` names the
bundle that is served. Sightings keep their ids from bundle to bundle.
"""

import fcntl
import json
import os
from pathlib import Path

import qdrant_edge as edge

from service.contract.durable_files import replace_file
from service.identity.errors import StoreUnavailableError
from service.storage.edge.shard import MARKER, Shard
from service.storage.local.disk_errors import disk_errors
from service.storage.points import payloads

KEYWORD = edge.PayloadSchemaType.Keyword
VESSEL_INDEXES = {
    payloads.STATE: KEYWORD,
    payloads.IMO: KEYWORD,
    payloads.MMSI: KEYWORD,
    payloads.TYPE: KEYWORD,
}
SIGHTING_INDEXES = {
    payloads.VESSEL_ID: KEYWORD,
    payloads.VESSEL_TYPE: KEYWORD,
    payloads.VESSEL_LENGTH_M: edge.PayloadSchemaType.Float,
    payloads.CAPTURED_AT: edge.PayloadSchemaType.Datetime,
    payloads.LOCATION: edge.PayloadSchemaType.Geo,
    payloads.MODALITY: KEYWORD,
    payloads.CHIP: KEYWORD,
}
NO_VECTOR = [0.0]
SIGHTINGS = "sightings-"
ACTIVE = "active.json"


def lock_folder(folder: Path) -> int:
    """Create the folder where needed and lock it; returns the file descriptor to close.

    Raises:
        StoreUnavailableError: another process has it open, or it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "gallery.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreUnavailableError(f"cannot use the folder {folder}: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreUnavailableError(
            f"another process has the gallery in {folder} open; stop it, or run a Qdrant server "
            "and set CROSSFIX_QDRANT_URL so that several processes can share one gallery"
        ) from error
    return lock


def open_vessels(folder: Path, min_free_bytes: int) -> Shard:
    """The shard of vessels."""
    return Shard(folder / "vessels", len(NO_VECTOR), VESSEL_INDEXES, min_free_bytes)


def open_sightings(folder: Path, bundle_id: str, width: int, min_free_bytes: int) -> Shard:
    """The shard of one bundle's sightings."""
    name = SIGHTINGS + payloads.bundle_slug(bundle_id)
    return Shard(folder / name, width, SIGHTING_INDEXES, min_free_bytes)


def bundles_in(folder: Path) -> dict[str, int]:
    """The bundles that have a complete shard here, and the width of their embeddings."""
    return {
        marker.parent.name.removeprefix(SIGHTINGS): int(json.loads(marker.read_text())["width"])
        for marker in sorted(folder.glob(f"{SIGHTINGS}*/{MARKER}"))
    }


def active_bundle(folder: Path) -> str | None:
    """The bundle that is served; None before the gallery was first opened.

    Raises:
        StoreUnavailableError: the note cannot be read.
    """
    try:
        return str(json.loads((folder / ACTIVE).read_text())["bundle_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailableError(f"{folder / ACTIVE} cannot be read: {error}") from error


def activate_bundle(folder: Path, bundle_id: str) -> None:
    """Note which bundle is served, in one step.

    Raises:
        StoreUnavailableError, StoreFullError: it cannot be written.
    """
    with disk_errors(f"write {folder / ACTIVE}"):
        replace_file(folder / ACTIVE, json.dumps({"bundle_id": payloads.bundle_slug(bundle_id)}))
