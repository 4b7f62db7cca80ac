"""The audit log on a disk that is full, or fills up: refusals are told and leave no trace."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.storage.audit.chain import segments
from service.storage.audit.check import verify_audit
from service.storage.audit.log import RESERVE_BYTES, RESERVE_NAME, open_audit_log
from tests.support.audit_chains import numbers

Write = Callable[[int, bytes], int]


def refuse(*_: object) -> NoReturn:
    """In place of any call that needs room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def half_then_full(write: Write) -> Write:
    """As `write` on a disk that takes the first ten bytes."""
    return lambda handle, data: write(handle, data[:10]) if len(data) > 10 else refuse()


def full_while_there_is(reserve: Path, write: Write) -> Write:
    """As `write` on a disk whose last room is what the reserve holds."""
    return lambda handle, data: refuse() if reserve.exists() else write(handle, data)


def test_a_full_disk_is_told_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half_then_full(os.write))
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_a_write_that_could_not_be_taken_back_is_taken_back_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")

    def broken(handle: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half_then_full(os.write))
        patch.setattr(os, "ftruncate", broken)
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
    log = open_audit_log(tmp_path, "one", segment_bytes=1)
    with monkeypatch.context() as patch:
        patch.setattr("service.storage.audit.log.sync_folder", refuse)
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

    def some(size: int) -> bytes:
        return bytes(size) if size < RESERVE_BYTES else refuse()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_while_there_is(reserve, os.write))
        patch.setattr(os, "urandom", some)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 2})
        log.ping()
        log.append({"action": "enrol", "number": 3}, closing=True)
        with pytest.raises(StoreFullError, match="reserve space"):
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
    write, told = full_while_there_is(reserve, os.write), threading.Event()
    unhindered = os.write

    def slow_then_full(handle: int, data: bytes) -> int:
        if not told.is_set():
            told.set()
            time.sleep(0.3)
            return unhindered(handle, data)
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
