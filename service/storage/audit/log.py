"""The audit log of this process: one hash chain of its own, on disk before anything is answered.

Callers that come at the same time share one write and one `fsync`. See `audit_chain.py` for the
layout, `audit_check.py` for finding out whether somebody changed it.
"""

import fcntl
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.contract.durable_files import sync_folder
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.audit.chain import (
    BEGINNING,
    HEAD_NAME,
    LOCK_NAME,
    BrokenLinkError,
    Head,
    chains,
    follow,
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
"""Room for the closing entries of all changes that can be open at once."""

MOST_PROCESSES = 256


def open_audit_log(
    root: Path,
    replica: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    segment_bytes: int = SEGMENT_BYTES,
) -> "FolderAuditLog":
    """Open this replica's chain, repairing what an interrupted write left, and note the opening.

    The first entry tells the heads of all chains under `root`, so that each chain bears witness
    to the others. Where another process holds the chain of this name, `<replica>-2` and so on is
    taken.

    Args:
        root: the folder of all chains.
        replica: names the chain; letters, digits, `.`, `_` and `-`.
        now: the present, UTC.
        segment_bytes: a new file is begun when one has grown beyond this.

    Raises:
        StoreUnavailableError: the folder cannot be used, or the chain was tampered with.
        StoreFullError: the disk is full.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "-", replica).strip(".") or "replica"
    with disk_errors(f"open the audit log in {root}"):
        folder, lock = _take_chain(root, name)
        try:
            found = _resume(folder)
            log = FolderAuditLog(folder, lock, found, segment_bytes)
        except BrokenLinkError as error:
            os.close(lock)
            raise StoreUnavailableError(
                f"the audit chain in {folder} was tampered with: {error}; run `crossfix audit "
                "verify`, and move the folder away as it is before starting again"
            ) from error
        except BaseException:
            os.close(lock)
            raise
    heads = {other.name: _claimed(other) for other in chains(root)}
    opening: dict[str, object] = {
        "at": now().isoformat(),
        "action": "open-log",
        "replica": folder.name,
        "heads": {other: [head.seq, head.hash] for other, head in heads.items() if head},
        "torn_bytes": found.torn_bytes,
    }
    try:
        log.append(opening)
    except BaseException:
        log.close()
        raise
    return log


class FolderAuditLog:
    """An `AuditLog` in a folder. Safe for many threads; one process at a time."""

    def __init__(self, folder: Path, lock: int, found: "Found", segment_bytes: int) -> None:
        """Use `open_audit_log`; `lock` is the file descriptor that it holds locked."""
        self._folder = folder
        self._lock: int | None = lock
        self._segment_bytes = segment_bytes
        self._head = found.head
        self._size = found.size
        self._file = os.open(found.segment, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._head_file = os.open(folder / HEAD_NAME, os.O_WRONLY)
        self._reserve = Reserve(folder / RESERVE_NAME, RESERVE_BYTES)
        self._trusted = True
        self._waiting: list[_Ticket] = []
        self._turn = threading.Condition()
        self._writing = False
        self._note_head(durable=True)
        sync_folder(folder)

    @property
    def folder(self) -> Path:
        return self._folder

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> None:
        seal(entry, BEGINNING)  # what cannot be written fails here, and not with others
        ticket = _Ticket(entry, closing)
        with self._turn:
            self._waiting.append(ticket)
            # Whoever writes next takes along the entries of all who wait.
            self._turn.wait_for(lambda: ticket.settled or not self._writing)
            mine_to_write = not ticket.settled
            if mine_to_write:
                tickets, self._waiting, self._writing = self._waiting, [], True
        if mine_to_write:
            self._commit(tickets)
        if ticket.error is not None:
            raise ticket.error

    def ping(self) -> None:
        """Tries the folder with a file of its own: an entry that says nothing would be for ever.

        Where the reserve was used up, its room must be there, too, before entries are taken again.
        """
        size = PROBE_BYTES if self._reserve.kept else RESERVE_BYTES + PROBE_BYTES
        with disk_errors(f"write to the audit log in {self._folder}"):
            self._require_open()
            path = self._folder / PROBE_NAME
            try:
                with path.open("wb") as file:
                    file.write(os.urandom(size))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        with self._turn:
            self._turn.wait_for(lambda: not self._writing)
            if self._lock is None:
                return
            self._note_head(durable=True)
            for handle in (self._file, self._head_file, self._lock):
                os.close(handle)
            self._lock = None

    def _commit(self, tickets: "list[_Ticket]") -> None:
        """Write these in one go; on a full disk, those that end something take the reserve."""
        failure = closing_failure = self._attempt(tickets, self._reserve.fill)
        closing = [ticket for ticket in tickets if ticket.closing]
        if closing and isinstance(failure, StoreFullError):
            closing_failure = self._attempt(closing, self._reserve.release)
        with self._turn:
            for ticket in tickets:
                ticket.error = closing_failure if ticket.closing else failure
                ticket.settled = True
            self._writing = False
            self._turn.notify_all()

    def _attempt(self, tickets: "list[_Ticket]", prepare: Callable[[], None]) -> Exception | None:
        """Why they could not be written, all of them; None when they are."""
        try:
            prepare()
            self._write([ticket.entry for ticket in tickets])
        except Exception as error:
            return error
        return None

    def _write(self, entries: list[Mapping[str, object]]) -> None:
        with disk_errors(f"write to the audit log in {self._folder}"):
            self._require_open()
            if not self._trusted:
                self._take_back()
            if self._size >= self._segment_bytes:
                self._begin_segment()
            head, sealed = self._head, bytearray()
            for entry in entries:
                line, head = seal(entry, head)
                sealed += line
            self._trusted = False
            try:
                _write_all(self._file, sealed)
                os.fdatasync(self._file)
            except OSError:
                with suppress(OSError):
                    self._take_back()
                raise
            self._trusted = True
            self._head = head
            self._size += len(sealed)
            self._note_head(durable=False)

    def _require_open(self) -> None:
        """Raises StoreUnavailableError where an entry would be written to nowhere."""
        if self._lock is None:
            raise StoreUnavailableError(f"the audit log in {self._folder} is closed")
        if os.fstat(self._file).st_nlink == 0:
            raise StoreUnavailableError(
                f"the audit log in {self._folder} was removed while it was written; put it back "
                "from a backup and start again"
            )

    def _take_back(self) -> None:
        """Cut off what was not acknowledged; until that is done nothing is written after it."""
        os.ftruncate(self._file, self._size)
        os.fdatasync(self._file)
        self._trusted = True

    def _begin_segment(self) -> None:
        self._note_head(durable=True)
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

    def _note_head(self, durable: bool) -> None:
        """Tell the head file how far the chain goes.

        After each write this reaches the kernel only: it outlives the process, and a power cut
        may set it back behind the entries but never ahead of them.
        """
        os.pwrite(self._head_file, head_record(self._head), 0)
        if durable:
            os.fsync(self._head_file)


class _Ticket:
    """One entry on its way to disk."""

    __slots__ = ("closing", "entry", "error", "settled")

    def __init__(self, entry: Mapping[str, object], closing: bool) -> None:
        self.entry = entry
        self.closing = closing
        self.settled = False
        self.error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a chain goes on: the last segment, its size, and what was cut off its end."""

    head: Head
    segment: Path
    size: int
    torn_bytes: int


def _take_chain(root: Path, name: str) -> tuple[Path, int]:
    """The first chain of this name that no other process holds, locked."""
    for turn in range(1, MOST_PROCESSES + 1):
        folder = root / (name if turn == 1 else f"{name}-{turn}")
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(root)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return folder, lock
    raise StoreUnavailableError(f"{MOST_PROCESSES} processes hold audit chains named {name}")


def _resume(folder: Path) -> Found:
    """Find the end of a chain and cut off what an interrupted write left behind it.

    Raises:
        BrokenLinkError: the end is not what the head file says.
    """
    claimed, files = read_head(folder), segments(folder)
    if claimed is None:
        if files:
            raise BrokenLinkError("the head file is missing")
        _create_head(folder)
        claimed = BEGINNING
    if not files:
        if claimed.seq:
            raise BrokenLinkError(f"all {claimed.seq} entries are missing")
        return Found(BEGINNING, folder / segment_name(1), 0, 0)
    head, size, torn = _read_end(files[-1], claimed)
    if torn:
        _cut(files[-1], size, folder / f"torn-after-{head.seq}.bin")
    return Found(head, files[-1], size, torn)


def _read_end(segment: Path, claimed: Head) -> tuple[Head, int, int]:
    """Head, good bytes and torn bytes of the last segment, checked against the claimed head.

    What follows the claimed head and does not hold was never acknowledged: it is torn, not
    tampered with.
    """
    before = int(segment.stem) - 1
    if before > claimed.seq:
        raise BrokenLinkError(f"the head file names entry {claimed.seq}, and entries go further")
    head = claimed if before == claimed.seq else None
    size = 0
    for _, line in lines(segment):
        try:
            document, found = parse(line)
            follow(document, found, head or Head(before, document["prev"]))
        except BrokenLinkError:
            if head is None or head.seq < claimed.seq:
                raise
            break
        if found.seq == claimed.seq and found.hash != claimed.hash:
            raise BrokenLinkError(f"entry {found.seq} is not the one that the head file names")
        head, size = found, size + len(line)
    if head is None or head.seq < claimed.seq:
        last = head.seq if head else before
        raise BrokenLinkError(f"entries after {last} are missing; there were {claimed.seq}")
    return head, size, segment.stat().st_size - size


def _create_head(folder: Path) -> None:
    handle = os.open(folder / HEAD_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        os.write(handle, head_record(BEGINNING))
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_folder(folder)


def _cut(segment: Path, size: int, aside: Path) -> None:
    """Shorten a segment to `size` bytes; what is cut off is kept aside."""
    with segment.open("r+b") as file:
        file.seek(size)
        aside.write_bytes(file.read())
        file.truncate(size)
        os.fsync(file.fileno())


def _claimed(folder: Path) -> Head | None:
    """The head of another chain, as far as it can be read; `audit verify` says what is wrong."""
    try:
        return read_head(folder)
    except BrokenLinkError:
        return None


def _write_all(handle: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
