"""Bring the write-ahead log of a shard to disk."""

import os
import threading
from pathlib import Path

from service.contract.durable_files import sync_folder


class LogFiles:
    """The files of a write-ahead log that another part of this process writes and rotates.

    Linux writes out with `fsync` also what was changed through a memory map of the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._handles: dict[str, int] = {}
        self._closed = False

    def sync(self) -> None:
        """Make everything durable that was in the log when this was called.

        Raises:
            OSError: the disk refuses, or the log was closed.
        """
        with self._turn:
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
        with self._turn:
            self._closed = True
            self._release()

    def _reopen(self) -> bool:
        """Open all files anew; False when a name changed meanwhile, so that one may be missing."""
        self._release()
        for name in os.listdir(self._folder):
            try:
                self._handles[name] = os.open(self._folder / name, os.O_RDONLY)
            except FileNotFoundError:
                return False
        return True

    def _release(self) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles = {}
