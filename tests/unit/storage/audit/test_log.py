"""The audit log keeps acknowledged entries in order through kills and torn writes."""

import json
import multiprocessing
import os
import random
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from service.identity.errors import StoreUnavailableError
from service.storage.audit.chain import BrokenLinkError, Head, seal, segments
from service.storage.audit.check import AuditReport, read_entries, verify_audit
from service.storage.audit.log import FolderAuditLog, open_audit_log
from tests.support.audit_chains import SMALL, filled, numbers

FORKS = multiprocessing.get_context("forkserver")
KILLS = 8


def test_entries_come_back_in_order_over_several_segments(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    report = verify_audit(tmp_path)
    assert report.findings == []
    assert report.entries == {"one": 10}
    assert numbers(tmp_path) == list(range(9))
    assert len(segments(folder)) > 2


def test_a_chain_is_continued_after_it_was_closed(tmp_path: Path) -> None:
    filled(tmp_path)
    filled(tmp_path)
    report = verify_audit(tmp_path)
    assert report.findings == []
    assert report.entries == {"one": 20}


def test_a_second_replica_of_the_same_name_gets_another_chain(tmp_path: Path) -> None:
    first = open_audit_log(tmp_path, "one")
    second = open_audit_log(tmp_path, "one")
    assert second.append({"action": "match"}).chain == "one-2"
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


def test_a_torn_end_is_cut_off_saved_and_reported(tmp_path: Path) -> None:
    folder = filled(tmp_path, entries=3, segment_bytes=10**6)
    with segments(folder)[-1].open("ab") as file:
        file.write(b'{"action":"match","num')
    assert verify_audit(tmp_path).findings == []
    open_audit_log(tmp_path, "one").close()
    assert verify_audit(tmp_path).findings == []
    assert [entry.get("torn_bytes") for _, entry in read_entries(tmp_path)][-1] == 22
    assert (folder / "torn-after-4.bin").read_bytes() == b'{"action":"match","num'


def test_an_entry_behind_a_lagging_head_is_kept(tmp_path: Path) -> None:
    """A power cut may leave the head behind the entries."""
    folder = filled(tmp_path, entries=3, segment_bytes=10**6)
    last = json.loads(segments(folder)[-1].read_bytes().splitlines()[-1])
    line, _ = seal({"action": "match", "number": 3}, Head(last["seq"], last["hash"]))
    with segments(folder)[-1].open("ab") as file:
        file.write(line)
    open_audit_log(tmp_path, "one").close()
    assert numbers(tmp_path) == [0, 1, 2, 3]
    assert verify_audit(tmp_path).findings == []


def test_entries_cannot_use_the_field_names_of_the_chain() -> None:
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


def test_repeated_kills_lose_nothing_acknowledged(quick_folder: Path) -> None:
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
        acknowledged |= received_until_closed(reader)
        assert verify_audit(quick_folder).findings == []
    assert acknowledged <= set(numbers(quick_folder))
    report: AuditReport = verify_audit(quick_folder)
    assert report.entries["one"] >= len(acknowledged) + KILLS
    reopened: FolderAuditLog = open_audit_log(quick_folder, "one")
    reopened.close()


def received_until_closed(reader: Connection) -> set[int]:
    received: set[int] = set()
    while True:
        try:
            received.add(reader.recv())
        except (EOFError, OSError):
            return received


def test_entries_are_not_written_to_a_file_that_was_removed(tmp_path: Path) -> None:
    log = open_audit_log(tmp_path, "one")
    [segment] = segments(tmp_path / "one")
    segment.unlink()
    for call in (log.ping, lambda: log.append({"action": "match"})):
        with pytest.raises(StoreUnavailableError, match="was removed"):
            call()
    log.close()
