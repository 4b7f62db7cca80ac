"""Original chips in a folder, named by the SHA-256 of their bytes.

`<root>/ab/cd/abcd….chip`. A chip is written to a temporary file, synced and renamed into place, and
the folder is synced, so that every file in the tree is complete.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from service.contract.durable_files import sync_folder, write_file
from service.identity.errors import NotFoundError, StoreUnavailableError
from service.identity.ports.chips import ChipEntry
from service.storage.local.disk_errors import disk_errors

DIGEST = re.compile(r"[0-9a-f]{64}")
ABANDONED_AFTER_S = 3600.0
PROBE_BYTES = 4096


class FolderChipStore:
    """A `ChipStore` in a folder of this machine or of a shared file system.

    Safe for many threads and processes: writers of the same chip rename equal files.
    """

    def __init__(self, root: Path, abandoned_after_s: float = ABANDONED_AFTER_S) -> None:
        """Create the folder where needed; remove files left by interrupted writes.

        Args:
            abandoned_after_s: files of interrupted writes that are older than this are removed.

        Raises:
            StoreUnavailableError: the folder cannot be written.
            StoreFullError: the disk is full.
        """
        self._root = root
        self._incoming = root / "incoming"
        self._synced = set[Path]()  # folders whose names are on disk
        with disk_errors(f"open the chip store {root}"):
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned(abandoned_after_s)

    def put(self, data: bytes) -> str:
        [digest] = self.put_all([data])
        return digest

    def put_all(self, chips: Iterable[bytes]) -> list[str]:
        digests, changed = list[str](), set[Path]()
        with disk_errors(f"keep a chip in {self._root}"):
            for data in chips:
                digests.append(hashlib.sha256(data).hexdigest())
                path = self._path(digests[-1])
                if _holds(path, data):
                    os.utime(path)
                else:
                    self._make_folders(path.parent)
                    self._write(path, data)
                changed.add(path.parent)
            for folder in changed:
                sync_folder(folder)
        return digests

    def get(self, sha256: str) -> bytes:
        path = self._path(sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"no chip {sha256} is kept here") from None
        except OSError as error:
            raise StoreUnavailableError(f"chip {sha256} cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreUnavailableError(
                f"the bytes of chip {sha256} have changed on disk; restore {path} from a backup "
                "or upload the chip again"
            )
        return data

    def delete(self, sha256: str) -> None:
        path = self._path(sha256)
        with disk_errors(f"delete chip {sha256}"), suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)

    def stored(self) -> Iterator[ChipEntry]:
        with disk_errors(f"list the chips in {self._root}"):
            for path in self._root.glob("??/??/*.chip"):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    yield ChipEntry(path.stem, status.st_size, _utc_time(status.st_mtime))

    def stored_at(self, sha256: str) -> datetime:
        path = self._path(sha256)
        with disk_errors(f"look for chip {sha256}"):
            try:
                return _utc_time(path.stat().st_mtime)
            except FileNotFoundError:
                raise NotFoundError(f"no chip {sha256} is kept here") from None

    def ping(self) -> None:
        action = f"write to the chip store {self._root}"
        with disk_errors(action), tempfile.TemporaryFile(dir=self._incoming) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        return

    def _path(self, sha256: str) -> Path:
        require_digest(sha256)
        return Path(f"{self._root}/{sha256[:2]}/{sha256[2:4]}/{sha256}.chip")

    def _write(self, path: Path, data: bytes) -> None:
        incoming = f"{self._incoming}/{uuid4().hex}"
        try:
            write_file(Path(incoming), data, mode=0o600)
            os.replace(incoming, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(incoming)
            raise

    def _make_folders(self, folder: Path) -> None:
        """Create `<root>/ab/cd` so that both names survive a crash."""
        for path in (folder.parent, folder):
            # Another process may have made the folder, and not have synced its name yet.
            if path not in self._synced or not path.is_dir():
                path.mkdir(exist_ok=True)
                sync_folder(path.parent)
                self._synced.add(path)

    def _remove_abandoned(self, abandoned_after_s: float) -> None:
        oldest = time.time() - abandoned_after_s
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def require_digest(sha256: str) -> None:
    """Raise NotFoundError for a text that is not a chip digest."""
    if not DIGEST.fullmatch(sha256):
        raise NotFoundError(
            f"{sha256[:80]!r} is not a chip digest; expected 64 lower-case hexadecimal digits"
        )


def _utc_time(posix_s: float) -> datetime:
    return datetime.fromtimestamp(posix_s, UTC)


def _holds(path: Path, data: bytes) -> bool:
    """Return whether the file holds exactly these bytes; a damaged file does not."""
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False
