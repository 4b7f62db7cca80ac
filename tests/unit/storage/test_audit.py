"""The audit log: what was acknowledged stays, and whoever changes it is found."""

import errno
import json
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.audit import (
    RESERVE_BYTES,
    RESERVE_NAME,
    FolderAuditLog,
    open_audit_log,
)
from service.storage.audit_chain import HEAD_NAME, BrokenLinkError, Head, seal, segments
from service.storage.audit_check import AuditReport, read_entries, verify_audit

FORKS = multiprocessing.get_context("forkserver")
KILLS = 8
SMALL = 600


def filled(root: Path, entries: int = 9, replica: str = "one", segment_bytes: int = SMALL) -> Path:
    """A closed chain of one opening and some matches, over several segments."""
    log = open_audit_log(root, replica, segment_bytes=segment_bytes)
    for number in range(entries):
        log.append({"action": "match", "number": number})
    log.close()
    return root / replica


def numbers(root: Path) -> list[int]:
    return [entry["number"] for _, entry in read_entries(root) if "number" in entry]


def test_entries_come_back_in_order_over_several_segments(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    report = verify_audit(tmp_path)
    assert report.findings == []
    assert report.entries == {"one": 10}
    assert numbers(tmp_path) == list(range(9))
    assert len(segments(folder)) > 2


def test_a_chain_goes_on_after_it_was_closed(tmp_path: Path) -> None:
    filled(tmp_path)
    filled(tmp_path)
    report = verify_audit(tmp_path)
    assert report.findings == []
    assert report.entries == {"one": 20}


def test_a_replica_of_the_same_name_gets_a_chain_of_its_own(tmp_path: Path) -> None:
    first = open_audit_log(tmp_path, "one")
    second = open_audit_log(tmp_path, "one")
    second.append({"action": "match"})
    assert (first.folder.name, second.folder.name) == ("one", "one-2")
    assert verify_audit(tmp_path).entries == {"one": 1, "one-2": 2}
    first.close()
    second.close()


def test_many_threads_share_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = 0
    sync = os.fdatasync

    def slow_sync(handle: int) -> None:
        nonlocal syncs
        syncs += 1
        time.sleep(0.005)
        sync(handle)

    log = open_audit_log(tmp_path, "one")
    monkeypatch.setattr(os, "fdatasync", slow_sync)

    def append_some(first: int) -> None:
        for number in range(first, first + 10):
            log.append({"action": "match", "number": number})

    threads = [threading.Thread(target=append_some, args=(10 * i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(numbers(tmp_path)) == list(range(120))
    assert verify_audit(tmp_path).findings == []
    assert syncs <= 60, "entries that wait together are written together"


def test_a_full_disk_is_told_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    write = os.write

    def half_then_full(handle: int, data: bytes) -> int:
        if len(data) > 10:
            return write(handle, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half_then_full)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_a_torn_end_is_cut_off_kept_aside_and_told(tmp_path: Path) -> None:
    folder = filled(tmp_path, entries=3, segment_bytes=10**6)
    with segments(folder)[-1].open("ab") as file:
        file.write(b'{"action":"match","num')
    assert verify_audit(tmp_path).findings == []
    open_audit_log(tmp_path, "one").close()
    assert verify_audit(tmp_path).findings == []
    assert [entry.get("torn_bytes") for _, entry in read_entries(tmp_path)][-1] == 22
    assert (folder / "torn-after-4.bin").read_bytes() == b'{"action":"match","num'


def test_an_entry_behind_a_lagging_head_is_kept(tmp_path: Path) -> None:
    """As a power cut may leave it."""
    folder = filled(tmp_path, entries=3, segment_bytes=10**6)
    last = json.loads(segments(folder)[-1].read_bytes().splitlines()[-1])
    line, _ = seal({"action": "match", "number": 3}, Head(last["seq"], last["hash"]))
    with segments(folder)[-1].open("ab") as file:
        file.write(line)
    open_audit_log(tmp_path, "one").close()
    assert numbers(tmp_path) == [0, 1, 2, 3]
    assert verify_audit(tmp_path).findings == []


def change_line(folder: Path, segment: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = segments(folder)[segment]
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def edit(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0].replace(b"match", b"mutch"), *lines[1:]])


def edit_with_its_hash(folder: Path) -> None:
    def forge(lines: list[bytes]) -> list[bytes]:
        entry = json.loads(lines[0])
        head = Head(entry["seq"] - 1, entry["prev"])
        kept = {k: v for k, v in entry.items() if k not in ("seq", "prev", "hash")}
        return [seal(kept | {"number": 77}, head)[0], *lines[1:]]

    change_line(folder, 1, forge)


def remove_line(folder: Path) -> None:
    change_line(folder, 1, lambda lines: lines[1:])


def swap_lines(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[1], lines[0], *lines[2:]])


def double_line(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0], *lines])


def add_space(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]])


def garbage(folder: Path) -> None:
    change_line(folder, 1, lambda lines: [b"\x00\xff\n", *lines[1:]])


def cut_last_line(folder: Path) -> None:
    change_line(folder, -1, lambda lines: lines[:-1])


def cut_within_last_line(folder: Path) -> None:
    change_line(folder, -1, lambda lines: [*lines[:-1], lines[-1][:-5]])


def remove_first_segment(folder: Path) -> None:
    segments(folder)[0].unlink()


def remove_middle_segment(folder: Path) -> None:
    segments(folder)[1].unlink()


def remove_last_segment(folder: Path) -> None:
    segments(folder)[-1].unlink()


def remove_all_segments(folder: Path) -> None:
    for path in segments(folder):
        path.unlink()


def remove_head(folder: Path) -> None:
    (folder / HEAD_NAME).unlink()


def spoil_head(folder: Path) -> None:
    (folder / HEAD_NAME).write_bytes(b"{}")


TAMPERINGS = [
    (edit, "edited"),
    (edit_with_its_hash, "does not continue"),
    (remove_line, "removed, added or reordered"),
    (swap_lines, "removed, added or reordered"),
    (double_line, "removed, added or reordered"),
    (add_space, "edited"),
    (garbage, "not an audit entry"),
    (cut_last_line, "the end was cut off"),
    (cut_within_last_line, "the end was cut off"),
    (remove_first_segment, "are missing before this segment"),
    (remove_middle_segment, "are missing before this segment"),
    (remove_last_segment, "the end was cut off"),
    (remove_all_segments, "the end was cut off"),
    (remove_head, "the head file is missing"),
    (spoil_head, "the head file is damaged"),
]


@pytest.mark.parametrize(
    ("tamper", "said"), TAMPERINGS, ids=lambda one: getattr(one, "__name__", "")
)
def test_tampering_is_found_and_its_place_told(
    tmp_path: Path, tamper: Callable[[Path], None], said: str
) -> None:
    folder = filled(tmp_path)
    filled(tmp_path, replica="two")
    touched = {path.name: path.read_bytes() for path in folder.iterdir()}
    tamper(folder)
    findings = verify_audit(tmp_path).findings
    assert any(said in finding.problem for finding in findings), findings
    assert {finding.replica for finding in findings} == {"one"}
    changed = {
        name
        for name, data in touched.items()
        if not (folder / name).exists() or (folder / name).read_bytes() != data
    }
    near = {finding.file for finding in findings} & (changed | {HEAD_NAME})
    assert near or "missing before" in findings[0].problem


@pytest.mark.parametrize(
    "tamper", [cut_last_line, cut_within_last_line, remove_last_segment, remove_head, spoil_head]
)
def test_a_chain_whose_end_was_changed_is_not_continued(
    tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    tamper(filled(tmp_path, segment_bytes=10**6))
    with pytest.raises(StoreUnavailableError, match="tampered"):
        open_audit_log(tmp_path, "one")


def test_the_first_entry_after_the_head_that_was_edited_is_not_taken_for_torn(
    tmp_path: Path,
) -> None:
    folder = filled(tmp_path, segment_bytes=10**6)
    change_line(folder, 0, lambda lines: [lines[0].replace(b"open", b"oben"), *lines[1:]])
    with pytest.raises(StoreUnavailableError, match="tampered"):
        open_audit_log(tmp_path, "one")


def set_back(folder: Path, to: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, data in to.items():
        (folder / name).write_bytes(data)


def test_a_chain_that_was_set_back_as_a_whole_is_seen_by_the_others(tmp_path: Path) -> None:
    folder = filled(tmp_path, entries=2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filled(tmp_path, entries=2)
    filled(tmp_path, replica="witness")
    set_back(folder, before)
    problems = {(f.replica, f.problem.split(",")[0]) for f in verify_audit(tmp_path).findings}
    assert problems == {("one", "entry 6 is gone")}


def test_a_chain_that_is_gone_or_rewritten_is_seen_by_heads_kept_elsewhere(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    heads = verify_audit(tmp_path).heads
    assert verify_audit(tmp_path, heads).findings == []
    set_back(folder, {})
    assert verify_audit(tmp_path).findings == []
    gone = verify_audit(tmp_path, heads)
    assert "is gone" in gone.findings[0].problem
    folder.rename(tmp_path / "aside")
    filled(tmp_path, entries=12)
    rewritten = verify_audit(tmp_path, heads)
    assert any("was replaced" in finding.problem for finding in rewritten.findings)


def test_entries_cannot_take_the_names_of_the_chain() -> None:
    with pytest.raises(ValueError, match="must not use"):
        seal({"seq": 3}, Head(0, "0" * 64))
    assert issubclass(BrokenLinkError, ValueError)


def write_until_killed(root: Path, done: Connection, first: int) -> None:
    log = open_audit_log(root, "one", segment_bytes=4 * SMALL)

    def append(offset: int) -> None:
        for number in range(first + offset, first + 10**6, 2):
            log.append({"action": "match", "number": number})
            done.send(number)

    for offset in (0, 1):
        threading.Thread(target=append, args=(offset,)).start()


def test_killed_again_and_again_nothing_acknowledged_is_lost(quick_folder: Path) -> None:
    dice = random.Random(5)
    acknowledged: set[int] = set()
    for round_number in range(KILLS):
        reader, writer = FORKS.Pipe(duplex=False)
        process = FORKS.Process(
            target=write_until_killed, args=(quick_folder, writer, round_number * 10**7)
        )
        process.start()
        writer.close()
        acknowledged.add(reader.recv())
        time.sleep(dice.uniform(0, 0.05))
        process.kill()
        process.join()
        acknowledged |= last_words(reader)
        assert verify_audit(quick_folder).findings == []
    assert acknowledged <= set(numbers(quick_folder))
    report: AuditReport = verify_audit(quick_folder)
    assert report.entries["one"] >= len(acknowledged) + KILLS
    reopened: FolderAuditLog = open_audit_log(quick_folder, "one")
    reopened.close()


def last_words(reader: Connection) -> set[int]:
    said: set[int] = set()
    while True:
        try:
            said.add(reader.recv())
        except (EOFError, OSError):
            return said


def test_a_write_that_could_not_be_taken_back_is_taken_back_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    write = os.write

    def half_then_full(handle: int, data: bytes) -> int:
        if len(data) > 10:
            return write(handle, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(handle: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half_then_full)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
        with pytest.raises(StoreUnavailableError, match="Input/output error"):
            log.append({"action": "match", "number": 1})
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_a_segment_that_cannot_be_begun_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = open_audit_log(tmp_path, "one", segment_bytes=1)
    with monkeypatch.context() as patch:
        patch.setattr("service.storage.audit.sync_folder", refuse)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
    assert len(segments(tmp_path / "one")) == 1
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_ping_raises_what_an_entry_would_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = open_audit_log(tmp_path, "one")
    log.ping()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreFullError):
            log.ping()
    assert verify_audit(tmp_path).entries == {"one": 1}
    log.close()
    with pytest.raises(StoreUnavailableError, match="is closed"):
        log.ping()


def test_a_disk_that_fills_up_during_a_change_keeps_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    log.append({"action": "enrol", "number": 1})
    reserve = tmp_path / "one" / RESERVE_NAME
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    write = os.write

    def full_but_for_the_reserve(handle: int, data: bytes) -> int:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    def refuse(size: int) -> bytes:
        if size < RESERVE_BYTES:
            return bytes(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_but_for_the_reserve)
        patch.setattr(os, "urandom", refuse)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 2})
        log.ping()
        log.append({"action": "enrol", "number": 3}, closing=True)
        with pytest.raises(StoreFullError, match="keep room"):
            log.append({"action": "match", "number": 4})
        with pytest.raises(StoreFullError):
            log.ping()
    log.ping()
    log.append({"action": "match", "number": 5})
    assert reserve.stat().st_size == RESERVE_BYTES
    log.close()
    assert numbers(tmp_path) == [1, 3, 5]
    assert verify_audit(tmp_path).findings == []


def test_a_start_on_a_full_disk_leaves_the_chain_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(size: int) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", refuse)
        with pytest.raises(StoreFullError):
            open_audit_log(tmp_path, "one")
    log = open_audit_log(tmp_path, "one")
    assert log.folder.name == "one"
    log.close()
    assert verify_audit(tmp_path).findings == []


def test_what_waits_with_a_closing_entry_is_refused_where_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    log.append({"action": "enrol", "number": 1})
    reserve = tmp_path / "one" / RESERVE_NAME
    write, told = os.write, threading.Event()

    def slow_then_full(handle: int, data: bytes) -> int:
        if not told.is_set():
            told.set()
            time.sleep(0.3)
        elif reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    refused: list[int] = []

    def append(number: int, closing: bool) -> None:
        try:
            log.append({"action": "match", "number": number}, closing=closing)
        except StoreFullError:
            refused.append(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", slow_then_full)
        first = threading.Thread(target=append, args=(2, False))
        first.start()
        assert told.wait(5)
        others = [threading.Thread(target=append, args=pair) for pair in ((3, True), (4, False))]
        for thread in others:
            thread.start()
        for thread in (first, *others):
            thread.join()
    log.close()
    assert refused == [4]
    assert numbers(tmp_path) == [1, 2, 3]


def test_entries_are_not_written_to_a_file_that_was_removed(tmp_path: Path) -> None:
    log = open_audit_log(tmp_path, "one")
    [segment] = segments(tmp_path / "one")
    segment.unlink()
    for refused in (log.ping, lambda: log.append({"action": "match"})):
        with pytest.raises(StoreUnavailableError, match="was removed"):
            refused()
    log.close()
