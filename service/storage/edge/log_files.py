"""Flush the write-ahead log of a shard to disk."""

import os
import threading
from pathlib import Path

from service.contract.durable_files import sync_folder


class LogFiles:
    """The files of a write-ahead log that Qdrant Edge writes and rotates in this process.

    On Linux, `fsync` also writes out changes made through a memory map of the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._handles: dict[str, int] = {}
        self._closed = False

    def sync(self) -> None:
        """Make durable everything that the log held when this was called.

        Raises:
            OSError: the disk refuses, or the log was closed.
        """
        with self._lock:
            if self._closed:
                raise OSError(f"the log in {self._folder} is closed")
            rotated = set(os.listdir(self._folder)) != self._handles.keys()
            while rotated and not self._reopen():
                continue
            for handle in self._handles.values():
                os.fsync(handle)
            if rotated:
                sync_folder(self._folder)

    def close(self) -> None:
        """Close the files; a later `sync` is refused."""
        with self._lock:
            self._closed = True
            self._close_handles()

    def _reopen(self) -> bool:
        """Open all files again; return False if a file was renamed or removed at the same time."""
        self._close_handles()
        for name in os.listdir(self._folder):
            try:
                self._handles[name] = os.open(self._folder / name, os.O_RDONLY)
            except FileNotFoundError:
                return False
        return True

    def _close_handles(self) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles = {}
