"""The audit log of this process: a hash chain of its own, on disk before a request is answered.

Callers that append at the same time share one write and one `fsync`. See `chain.py` for the files,
and `check.py` for their verification.
"""

import fcntl
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.contract.durable_files import sync_folder, write_file
from service.contract.utc_time import utc_now
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.audit import AuditPosition
from service.storage.audit.chain import (
    EMPTY,
    HEAD_NAME,
    LOCK_NAME,
    OPENING,
    BrokenLinkError,
    Head,
    chains,
    check_link,
    head_record,
    lines,
    parse,
    read_head,
    seal,
    segment_name,
    segments,
)
from service.storage.audit.reserve import Reserve
from service.storage.local.disk_errors import disk_errors

SEGMENT_BYTES = 8 * 2**20
"""Opening reads the last segment, so this bounds the time it takes."""

PROBE_NAME = "probe.tmp"
PROBE_BYTES = 4096

RESERVE_NAME = "reserve.tmp"
RESERVE_BYTES = 256 * 2**10
"""Space for the closing entries of all changes that can be open at the same time."""

MAX_PROCESSES = 256


def open_audit_log(
    root: Path, replica: str, segment_bytes: int = SEGMENT_BYTES
) -> "FolderAuditLog":
    """Open this replica's chain, cut off an interrupted write, and append an entry on the opening.

    That entry holds the heads of all chains under `root`, so that each chain proves what the others
    held. While another process holds the chain of this name, `<replica>-2` and so on is used.

    Args:
        root: the folder of all chains.
        replica: the name of the chain: letters, digits, `.`, `_` and `-`.
        segment_bytes: a new segment begins when the last has grown beyond this.

    Raises:
        StoreUnavailableError: the folder cannot be used, or the chain was tampered with.
        StoreFullError: the disk is full.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "-", replica).strip(".") or "replica"
    with disk_errors(f"open the audit log in {root}"):
        folder, lock = _lock_chain(root, name)
        try:
            end = _find_end(folder)
            log = FolderAuditLog(folder, lock, end, segment_bytes)
        except BrokenLinkError as error:
            os.close(lock)
            raise StoreUnavailableError(
                f"the audit chain in {folder} was tampered with: {error}; run `crossfix audit "
                "verify`, and move the folder away as it is before starting again"
            ) from error
        except BaseException:
            os.close(lock)
            raise
    heads = {chain.name: _readable_head(chain) for chain in chains(root)}
    opening: dict[str, object] = {
        "at": utc_now().isoformat(),
        "action": OPENING,
        "replica": folder.name,
        "heads": {name: [head.seq, head.hash] for name, head in heads.items() if head},
        "torn_bytes": end.torn_bytes,
    }
    try:
        log.append(opening)
    except BaseException:
        log.close()
        raise
    return log


class FolderAuditLog:
    """An `AuditLog` in a folder. Safe to call from many threads of one process."""

    def __init__(self, folder: Path, lock: int, end: "ChainEnd", segment_bytes: int) -> None:
        """Use `open_audit_log` instead; `lock` is the descriptor of the locked file."""
        self._folder = folder
        self._lock: int | None = lock
        self._segment_bytes = segment_bytes
        self._head = end.head
        self._size = end.size
        self._file = os.open(end.segment, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._head_file = os.open(folder / HEAD_NAME, os.O_WRONLY)
        self._reserve = Reserve(folder / RESERVE_NAME, RESERVE_BYTES)
        self._tail_is_clean = True
        self._pending: list[_PendingEntry] = []
        self._condition = threading.Condition()
        self._writing = False
        self._write_head(durable=True)
        sync_folder(folder)

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> AuditPosition:
        seal(entry, EMPTY)  # an entry that cannot be written fails here, not in a shared write
        own = _PendingEntry(entry, closing)
        with self._condition:
            self._pending.append(own)
            self._condition.wait_for(lambda: own.done or not self._writing)
            is_writer = not own.done
            if is_writer:
                # This thread writes the entries of all waiting threads.
                batch, self._pending, self._writing = self._pending, [], True
        if is_writer:
            self._commit(batch)
        if own.error is not None:
            raise own.error
        return AuditPosition(chain=self._folder.name, number=own.place.seq, sha256=own.place.hash)

    def ping(self) -> None:
        """Write and remove a file beside the log; a test entry would stay in the log for ever.

        After the reserve was used, its space must be free again, too, before entries are accepted.
        """
        size = PROBE_BYTES if self._reserve.reserved else RESERVE_BYTES + PROBE_BYTES
        with disk_errors(f"write to the audit log in {self._folder}"):
            self._require_open()
            path = self._folder / PROBE_NAME
            try:
                write_file(path, os.urandom(size))
            finally:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._writing)
            if self._lock is None:
                return
            self._write_head(durable=True)
            for handle in (self._file, self._head_file, self._lock):
                os.close(handle)
            self._lock = None

    def _commit(self, batch: "list[_PendingEntry]") -> None:
        """Write all entries at once; on a full disk, write the closing entries into the reserve."""
        error = closing_error = self._attempt(batch, self._reserve.fill)
        closing = [pending for pending in batch if pending.closing]
        if closing and isinstance(error, StoreFullError):
            closing_error = self._attempt(closing, self._reserve.release)
        with self._condition:
            for pending in batch:
                pending.error = closing_error if pending.closing else error
                pending.done = True
            self._writing = False
            self._condition.notify_all()

    def _attempt(
        self, batch: "list[_PendingEntry]", prepare: Callable[[], None]
    ) -> Exception | None:
        """Write all entries or none; return the error, or None when they are written."""
        try:
            prepare()
            self._write(batch)
        except Exception as error:
            return error
        return None

    def _write(self, batch: "list[_PendingEntry]") -> None:
        with disk_errors(f"write to the audit log in {self._folder}"):
            self._require_open()
            if not self._tail_is_clean:
                self._truncate()
            if self._size >= self._segment_bytes:
                self._begin_segment()
            head, sealed = self._head, bytearray()
            for pending in batch:
                line, head = seal(pending.entry, head)
                pending.place = head
                sealed += line
            self._tail_is_clean = False
            try:
                _write_all(self._file, sealed)
                os.fdatasync(self._file)
            except OSError:
                with suppress(OSError):
                    self._truncate()
                raise
            self._tail_is_clean = True
            self._head = head
            self._size += len(sealed)
            self._write_head(durable=False)

    def _require_open(self) -> None:
        """Raise StoreUnavailableError if the log was closed, or its file was removed."""
        if self._lock is None:
            raise StoreUnavailableError(f"the audit log in {self._folder} is closed")
        if os.fstat(self._file).st_nlink == 0:
            raise StoreUnavailableError(
                f"the audit log in {self._folder} was removed while it was written; put it back "
                "from a backup and start again"
            )

    def _truncate(self) -> None:
        """Cut off what was not acknowledged; nothing is written until this has succeeded."""
        os.ftruncate(self._file, self._size)
        os.fdatasync(self._file)
        self._tail_is_clean = True

    def _begin_segment(self) -> None:
        self._write_head(durable=True)
        path = self._folder / segment_name(self._head.seq + 1)
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(fresh)
            path.unlink()
            raise
        os.close(self._file)
        self._file, self._size = fresh, 0

    def _write_head(self, durable: bool) -> None:
        """Write number and hash of the last entry into the head file.

        Unless `durable`, the write may stay in the kernel: it survives the end of the process, and
        after a power cut the head may be behind the entries but never ahead of them.
        """
        os.pwrite(self._head_file, head_record(self._head), 0)
        if durable:
            os.fsync(self._head_file)


@dataclass(slots=True, eq=False)
class _PendingEntry:
    """An entry that is waiting to be written, its place in the chain, and how that ended."""

    entry: Mapping[str, object]
    closing: bool
    place: Head = EMPTY
    done: bool = False
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The end of a chain: its head, the last segment, its size, and the bytes cut off it."""

    head: Head
    segment: Path
    size: int
    torn_bytes: int


def _lock_chain(root: Path, name: str) -> tuple[Path, int]:
    """Lock the first chain of this name that no other process holds; return folder and lock."""
    for number in range(1, MAX_PROCESSES + 1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(root)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return folder, lock
    raise StoreUnavailableError(f"{MAX_PROCESSES} processes hold audit chains named {name}")


def _find_end(folder: Path) -> ChainEnd:
    """Find the end of a chain and cut off what an interrupted write left after it.

    Raises:
        BrokenLinkError: the entries do not end as the head file records.
    """
    recorded, files = read_head(folder), segments(folder)
    if recorded is None:
        if files:
            raise BrokenLinkError("the head file is missing")
        write_file(folder / HEAD_NAME, head_record(EMPTY), 0o640)
        sync_folder(folder)
        recorded = EMPTY
    if not files:
        if recorded.seq:
            raise BrokenLinkError(f"all {recorded.seq} entries are missing")
        return ChainEnd(EMPTY, folder / segment_name(1), 0, 0)
    head, size, torn = _read_end(files[-1], recorded)
    if torn:
        _cut(files[-1], size, folder / f"torn-after-{head.seq}.bin")
    return ChainEnd(head, files[-1], size, torn)


def _read_end(segment: Path, recorded: Head) -> tuple[Head, int, int]:
    """Return head, sound bytes and torn bytes of the last segment.

    A broken line after the recorded head was never acknowledged: its write was interrupted. A
    broken line before it was tampered with.

    Raises:
        BrokenLinkError: the segment was tampered with.
    """
    before = int(segment.stem) - 1
    if before > recorded.seq:
        raise BrokenLinkError(f"the head file records entry {recorded.seq}, and entries go further")
    head = recorded if before == recorded.seq else None
    size = 0
    for _, line in lines(segment):
        try:
            document, next_head = parse(line)
            check_link(document, next_head, head or Head(before, document["prev"]))
        except BrokenLinkError:
            if head is None or head.seq < recorded.seq:
                raise
            break
        if next_head.seq == recorded.seq and next_head.hash != recorded.hash:
            raise BrokenLinkError(
                f"entry {next_head.seq} is not the entry that the head file records"
            )
        head, size = next_head, size + len(line)
    if head is None or head.seq < recorded.seq:
        last = head.seq if head else before
        raise BrokenLinkError(f"entries after {last} are missing; there were {recorded.seq}")
    return head, size, segment.stat().st_size - size


def _cut(segment: Path, size: int, copy: Path) -> None:
    """Shorten a segment to `size` bytes; write what is cut off to `copy`."""
    with segment.open("r+b") as file:
        file.seek(size)
        copy.write_bytes(file.read())
        file.truncate(size)
        os.fsync(file.fileno())


def _readable_head(folder: Path) -> Head | None:
    """Read the head of a chain; return None if it is damaged, which `audit verify` reports."""
    try:
        return read_head(folder)
    except BrokenLinkError:
        return None


def _write_all(handle: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
