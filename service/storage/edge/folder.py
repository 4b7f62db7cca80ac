"""The folder of an embedded gallery: its lock, its shards, and the name of the active bundle.

`vessels` is one shard. Each bundle has another, `sightings-<bundle>`, and a file for its open
sightings, `open-<bundle>.sqlite`. `active.json` names the bundle that is served. A sighting has the
same id in every bundle. `search` holds what searches use: it is derived from the others.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import qdrant_edge as edge

from service.contract.durable_files import replace_file
from service.identity.errors import StoreUnavailableError
from service.storage.edge.shard import MARKER, NO_VECTOR, IndexSchema, Shard
from service.storage.edge.sightings import BundleSightings
from service.storage.edge.tables import saved_tables
from service.storage.local.disk_errors import disk_errors
from service.storage.points import payloads
from service.storage.points.search_words import STARTS, WORDS

KEYWORD = edge.PayloadSchemaType.Keyword
VESSEL_INDEXES: dict[str, IndexSchema] = {
    payloads.STATE: KEYWORD,
    payloads.IMO: KEYWORD,
    payloads.MMSI: KEYWORD,
    payloads.TYPE: KEYWORD,
    WORDS: edge.KeywordIndexParams(prefix=True),
    STARTS: KEYWORD,
}
SEARCHED_INDEXES = dict.fromkeys((payloads.VESSEL_ID, payloads.UNCOMPARED), KEYWORD)
"""Of sightings that `SightingTable` has, too, with their chips and facts of their vessels."""

SIGHTING_INDEXES = SEARCHED_INDEXES | {payloads.CHIP: KEYWORD}

SIGHTINGS = "sightings-"
OPEN = "open-"
ACTIVE = "active.json"
SEARCH = "search"


class GalleryFolder:
    """The folder of an embedded gallery, locked against other processes. For one thread."""

    def __init__(self, path: Path, searched: bool = False) -> None:
        """Lock the folder and open the vessels, creating them where needed.

        Args:
            searched: search tables will follow all changes of this process.

        Raises:
            StoreUnavailableError: another process has it open, or it is damaged.
            StoreFullError: the disk is full.
        """
        self.path = path
        self._lock: int | None = _lock_folder(path)
        self._sightings: dict[str, BundleSightings] = {}
        try:
            with disk_errors(f"use {path / SEARCH}"):
                if searched:
                    saved_tables.begin(path / SEARCH, saved_tables.describe(path, SEARCH))
                else:
                    saved_tables.discard_after_kill(path / SEARCH)
            self.vessels = Shard(path / "vessels", len(NO_VECTOR), VESSEL_INDEXES)
        except BaseException:
            self.unlock()
            raise

    def sightings(
        self,
        bundle_id: str,
        width: int | None = None,
        indexes: Mapping[str, IndexSchema] = SIGHTING_INDEXES,
    ) -> BundleSightings:
        """Return the sightings of one bundle, opened when they are first needed.

        Args:
            width: D of a bundle that may have no sightings yet.
            indexes: of those with a vessel; one of chips takes 0.7 kB of memory a sighting.

        Raises:
            KeyError: the bundle has no sightings, and no width was passed.
            StoreUnavailableError: they are damaged, or have vectors of another width.
            StoreFullError: the disk is full.
        """
        slug = payloads.bundle_slug(bundle_id)
        if slug not in self._sightings:
            width = self.bundles()[slug] if width is None else width
            shard = Shard(self.path / f"{SIGHTINGS}{slug}", width, indexes)
            self._sightings[slug] = BundleSightings(shard, self.path / f"{OPEN}{slug}.sqlite")
        return self._sightings[slug]

    def bundles(self) -> dict[str, int]:
        """Return the bundles that have a complete shard, and D, the width of their embeddings."""
        return {
            marker.parent.name.removeprefix(SIGHTINGS): int(json.loads(marker.read_text())["width"])
            for marker in sorted(self.path.glob(f"{SIGHTINGS}*/{MARKER}"))
        }

    def active(self) -> str | None:
        """Return the bundle that is served; see `active_bundle`."""
        return active_bundle(self.path)

    def activate(self, bundle_id: str) -> None:
        """Note which bundle is served, in one step; raise a store error if that fails."""
        path = self.path / ACTIVE
        with disk_errors(f"write {path}"):
            replace_file(path, json.dumps({"bundle_id": payloads.bundle_slug(bundle_id)}))

    def require_open(self) -> None:
        """Raise StoreUnavailableError if the folder was closed."""
        if self._lock is None:
            raise StoreUnavailableError(f"the gallery in {self.path} is closed")

    def close(self, then: Callable[[str], None] | None = None) -> None:
        """Close all stores and give the lock up; a second call does nothing.

        Args:
            then: is called between, with the description of all stores; see `saved_tables`.
        """
        if self._lock is not None:
            for sightings in self._sightings.values():
                sightings.close()
            self.vessels.close()
            if then is not None:
                then(saved_tables.describe(self.path, SEARCH))
            self.unlock()

    def unlock(self) -> None:
        """Give the lock up without writing anything, after a failure."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def active_bundle(folder: Path) -> str | None:
    """Return the bundle that is served; None before the gallery was first opened.

    Raises:
        StoreUnavailableError: the note cannot be read.
    """
    try:
        return str(json.loads((folder / ACTIVE).read_text())["bundle_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailableError(f"{folder / ACTIVE} cannot be read: {error}") from error


def _lock_folder(folder: Path) -> int:
    """Create the folder where needed and lock it; return the descriptor that holds the lock."""
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
