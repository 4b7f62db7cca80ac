"""Disk space reserved for entries that must be written when the disk is full."""

import os
from pathlib import Path

from service.contract.durable_files import sync_folder, write_file
from service.storage.local.disk_errors import disk_errors


class Reserve:
    """A file that only occupies disk space. For one thread at a time."""

    def __init__(self, path: Path, size: int) -> None:
        """Take over the file of an earlier process if it is complete; else `fill` creates it.

        Args:
            path: the file; its folder exists.
        """
        self._path = path
        self._size = size
        self._reserved = path.is_file() and path.stat().st_size == size

    @property
    def reserved(self) -> bool:
        """Whether the space is reserved now. Safe to read from any thread."""
        return self._reserved

    def fill(self) -> None:
        """Reserve the space, unless it is reserved already.

        Raises:
            StoreFullError: the disk has too little space left.
            StoreUnavailableError: the disk refuses for another reason.
        """
        if self._reserved:
            return
        with disk_errors(f"reserve space in {self._path.parent}"):
            try:
                # Some file systems store zeros as a hole without space.
                write_file(self._path, os.urandom(self._size))
                sync_folder(self._path.parent)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise
        self._reserved = True

    def release(self) -> None:
        """Give the space back for the next write; raise StoreUnavailableError if that fails."""
        self._reserved = False
        with disk_errors(f"use the space reserved in {self._path.parent}"):
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
