"""Room on a disk, kept for what has to be written when all other room is gone."""

import os
from pathlib import Path

from service.contract.durable_files import sync_folder
from service.storage.local.disk_errors import disk_errors


class Reserve:
    """A file that holds nothing but its place. One thread at a time."""

    def __init__(self, path: Path, size: int) -> None:
        """Takes the room that a former process had kept; `fill` makes sure that there is any.

        Args:
            path: the file; its folder exists.
            size: bytes to keep.
        """
        self._path = path
        self._size = size
        self._kept = path.is_file() and path.stat().st_size == size

    @property
    def kept(self) -> bool:
        """Whether the room is taken now; may be asked from any thread."""
        return self._kept

    def fill(self) -> None:
        """Keep the room, if it is not kept already.

        Raises:
            StoreFullError: the disk has not that much left.
            StoreUnavailableError: the disk refuses for another reason.
        """
        if self._kept:
            return
        with disk_errors(f"keep room in {self._path.parent}"):
            try:
                with self._path.open("wb") as file:
                    # Zeros would be a hole to some file systems.
                    file.write(os.urandom(self._size))
                    file.flush()
                    os.fsync(file.fileno())
                sync_folder(self._path.parent)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
        self._kept = True

    def release(self) -> None:
        """Give the room back to the disk, for whoever writes next.

        Raises:
            StoreUnavailableError: the disk refuses.
        """
        self._kept = False
        with disk_errors(f"use the room kept in {self._path.parent}"):
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
