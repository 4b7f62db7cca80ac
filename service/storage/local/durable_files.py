"""Bringing files and names to disk, and naming what the disk refuses."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.identity.errors import StoreFullError, StoreUnavailableError


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Raises StoreFullError or StoreUnavailableError ("cannot `doing`: …") for an OSError."""
    try:
        yield
    except OSError as error:
        if says_full(error):
            raise StoreFullError(f"cannot {doing}: the disk is full") from error
        raise StoreUnavailableError(f"cannot {doing}: {error}") from error


def says_full(error: BaseException) -> bool:
    """Whether the disk, or the share of it that may be used, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def replace_file(path: Path, text: str) -> None:
    """Give a file its content in one step, durably: a crash leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
