"""Installed bundles in a folder: `<root>/<bundle id>/`, where services find them by id."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.contract.bundle import Bundle, open_bundle
from service.contract.durable_files import sync_folder
from service.contract.errors import BundleError
from service.storage.local.disk_errors import disk_errors


class FolderBundleStore:
    """A `BundleStore` in a folder of this machine or of a shared file system."""

    def __init__(self, root: Path) -> None:
        """The folder is made when something is put there."""
        self._root = root

    def ids(self) -> list[str]:
        if not self._root.is_dir():
            return []
        with disk_errors(f"list the bundles in {self._root}"):
            return sorted(
                path.name
                for path in self._root.iterdir()
                if path.is_dir() and not path.name.startswith(".")
            )

    def put(self, bundle: Bundle) -> None:
        self.fill(bundle.bundle_id, lambda fresh: _copy(bundle.path, fresh))

    def find(self, bundle_id: str) -> Path | None:
        place = self._root / bundle_id
        if not place.is_dir():
            return None
        require_id(open_bundle(place), bundle_id)
        return place

    def close(self) -> None:
        return

    def fill(self, bundle_id: str, write: Callable[[Path], None]) -> Path:
        """The bundle's folder, written where it is not there: in one step, or not at all.

        Args:
            bundle_id: what `write` has to yield.
            write: puts the bundle's files into an empty folder.

        Raises:
            BundleError: what was written is not that bundle.
            StoreFullError, StoreUnavailableError: the disk refuses.
        """
        if (place := self.find(bundle_id)) is not None:
            return place
        place = self._root / bundle_id
        with disk_errors(f"install bundle {bundle_id} in {self._root}"), self._scratch() as fresh:
            write(fresh)
            require_id(open_bundle(fresh), bundle_id)
            try:
                fresh.rename(place)
            except OSError:
                # Another process was quicker; its folder holds the same.
                if not place.is_dir():
                    raise
            sync_folder(self._root)
        return place

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """An empty folder beside the others; gone in the end, whatever happened."""
        self._root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".installing.", dir=self._root))
        try:
            fresh = scratch / "bundle"
            fresh.mkdir()
            yield fresh
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def require_id(bundle: Bundle, bundle_id: str) -> None:
    """Raises BundleError when it is another bundle."""
    if bundle.bundle_id != bundle_id:
        raise BundleError(f"{bundle.path} holds bundle {bundle.bundle_id}, not {bundle_id}")


def _copy(source: Path, fresh: Path) -> None:
    shutil.copytree(source, fresh, dirs_exist_ok=True)
