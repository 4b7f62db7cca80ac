"""Installed bundles in a folder: `<root>/<bundle id>/`."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.contract.bundle import Bundle, open_bundle
from service.contract.durable_files import sync_files, sync_folder
from service.contract.errors import BundleError
from service.storage.local.disk_errors import disk_errors


class FolderBundleStore:
    """A `BundleStore` in a folder of this machine or of a shared file system."""

    def __init__(self, root: Path) -> None:
        """Do nothing yet: the folder is created with the first bundle."""
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
        def copy(folder: Path) -> None:
            """Copy the files without their permissions, which may let others read them."""
            for file in filter(Path.is_file, bundle.path.rglob("*")):
                copied = folder / file.relative_to(bundle.path)
                copied.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copied)

        self.install(bundle.bundle_id, copy)

    def find(self, bundle_id: str) -> Path | None:
        folder = self._root / bundle_id
        if not folder.is_dir():
            return None
        _require_id(open_bundle(folder), bundle_id)
        return folder

    def close(self) -> None:
        return

    def install(self, bundle_id: str, write: Callable[[Path], None]) -> Path:
        """Return the bundle's folder; create it, in one step or not at all, if there is none.

        Args:
            bundle_id: the bundle that `write` must produce.
            write: puts the bundle's files into an empty folder.

        Raises:
            BundleError: the written files are not that bundle.
            StoreFullError, StoreUnavailableError: the disk refuses.
        """
        if (installed := self.find(bundle_id)) is not None:
            return installed
        target = self._root / bundle_id
        with disk_errors(f"install bundle {bundle_id} in {self._root}"), self._scratch() as folder:
            write(folder)
            sync_files(folder)
            _require_id(open_bundle(folder), bundle_id)
            try:
                folder.rename(target)
            except OSError:
                # Another process installed the same bundle in the meantime.
                if not target.is_dir():
                    raise
            sync_folder(self._root)
        return target

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Yield an empty folder on the same file system; remove it at the end."""
        self._root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".installing.", dir=self._root))
        try:
            folder = scratch / "bundle"
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _require_id(bundle: Bundle, bundle_id: str) -> None:
    """Raise BundleError for another bundle."""
    if bundle.bundle_id != bundle_id:
        raise BundleError(f"{bundle.path} holds bundle {bundle.bundle_id}, not {bundle_id}")
