"""Ids of sightings and vessels that may have changed since tables were saved.

Only ids: what became of them is read from the stores. An id is in the file before anything of it is
changed. Nothing waits for the disk: the system keeps what a killed process wrote, and after a loss
of power, which the id of the boot tells, the file does not count.
"""

import os
import struct
import weakref
import zlib
from collections.abc import Collection
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

from service.contract.durable_files import sync_folder, write_file
from service.storage.local.disk_errors import disk_errors

SIGHTING, VESSEL = b"s", b"v"
"""The first byte of an entry; the id follows."""

ENTRY = 17

HEAD = struct.Struct("<16s16sQQI")
"""Id of the tables, id of the boot, inode of the file, bytes of the entries, their CRC-32.

It is written after the entries, in one step: entries beyond those bytes do not count.
"""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ChangeJournal:
    """A file of entries. For one thread at a time.

    Attributes:
        found: the entries that it had when it was opened.
    """

    def __init__(self, path: Path, tables: UUID) -> None:
        """Open a file that `create_journal` made.

        Args:
            tables: the id of the tables since which it notes changes.

        Raises:
            ValueError: it is damaged, a copy, of other tables, or from before the last boot.
            OSError: it cannot be read.
        """
        self._path = path
        self._file = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._file)
        self._owner = (tables.bytes, _boot_id(), os.fstat(self._file).st_ino)
        data = path.read_bytes()
        if len(data) < HEAD.size:
            raise ValueError(f"{path} is too short")
        *owner, length, checksum = HEAD.unpack_from(data)
        self._length, self._checksum = int(length), int(checksum)
        if tuple(owner) != self._owner:
            raise ValueError(f"{path} is a copy, of other tables, or from before the last boot")
        entries = data[HEAD.size : HEAD.size + self._length]
        if len(entries) < self._length or zlib.crc32(entries) != self._checksum:
            raise ValueError(f"{path} is damaged")
        self.found = {entries[at : at + ENTRY] for at in range(0, len(entries), ENTRY)}

    def __len__(self) -> int:
        """Return how many entries there are, repeated ones included."""
        return self._length // ENTRY

    def note(self, entries: Collection[bytes]) -> None:
        """Add entries, which the next start will find even if this process is killed.

        Raises:
            StoreFullError, StoreUnavailableError: none was added.
        """
        data = b"".join(entries)
        length, checksum = self._length + len(data), zlib.crc32(data, self._checksum)
        with disk_errors(f"write {self._path}"):
            _write(self._file, data, HEAD.size + self._length)
            _write(self._file, HEAD.pack(*self._owner, length, checksum), 0)
        self._length, self._checksum = length, checksum


def create_journal(path: Path, tables: UUID) -> ChangeJournal:
    """Create an empty journal of changes since these tables were saved, also on disk.

    Raises:
        OSError: the disk refuses.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.touch()
    write_file(fresh, HEAD.pack(tables.bytes, _boot_id(), fresh.stat().st_ino, 0, 0))
    fresh.rename(path)
    sync_folder(path.parent)
    return ChangeJournal(path, tables)


def entries_of(sightings: Collection[UUID], vessels: Collection[UUID] = ()) -> list[bytes]:
    """Return the entries of sightings and vessels."""
    return [SIGHTING + i.bytes for i in sightings] + [VESSEL + i.bytes for i in vessels]


def ids_of(kind: bytes, entries: Collection[bytes]) -> list[UUID]:
    """Return the ids of the entries of one kind."""
    return [UUID(bytes=one[1:]) for one in entries if one[:1] == kind]


def _write(file: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written


@cache
def _boot_id() -> bytes:
    """Return the id of this boot, or one that no journal has where the system does not tell."""
    try:
        return UUID(BOOT_ID.read_text().strip()).bytes
    except (OSError, ValueError):
        return uuid4().bytes
