"""The whole embedded gallery, the sightings of every bundle included.

It holds the lock of the folder: no service can have the gallery open at the same time.
"""

from collections.abc import Iterator
from pathlib import Path

from service.identity.records.checks import RecordCheck
from service.storage.edge.folder import GalleryFolder
from service.storage.edge.sightings import BundleSightings
from service.storage.points.archive import PointArchive
from service.storage.points.checking import check_gallery


class EdgeArchive(PointArchive):
    """A `GalleryArchive`; for one thread."""

    def __init__(self, folder: Path) -> None:
        """Lock and open the folder, creating it where needed.

        Raises:
            StoreUnavailableError: another process has it open, or it is damaged.
            StoreFullError: the disk is full.
        """
        self._folder = GalleryFolder(folder)
        self._vessels = self._folder.vessels

    def bundles(self) -> dict[str, int]:
        return self._folder.bundles()

    def prepare(self, bundle_id: str, width: int) -> None:
        self._folder.sightings(bundle_id, width)

    def active(self) -> str | None:
        return self._folder.active()

    def activate(self, bundle_id: str) -> None:
        self._folder.activate(bundle_id)

    def check_records(self) -> Iterator[list[RecordCheck]]:
        bundles = [self._sightings(bundle) for bundle in self.bundles()]
        return check_gallery(self._vessels, bundles)

    def close(self) -> None:
        self._folder.close()

    def _sightings(self, bundle_id: str) -> BundleSightings:
        return self._folder.sightings(bundle_id)
