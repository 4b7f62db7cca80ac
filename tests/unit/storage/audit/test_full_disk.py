"""The audit log on a full disk: entries are refused and leave no trace."""

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
    """Raise ENOSPC in place of a call that needs disk space."""
    raise OSError(errno.ENOSPC, "No space left on device")


def partial_then_full(write: Write) -> Write:
    """Wrap `write` as on a disk with space for ten bytes."""
    return lambda handle, data: write(handle, data[:10]) if len(data) > 10 else refuse()


def full_while_exists(reserve: Path, write: Write) -> Write:
    """Wrap `write` as on a disk whose last space is the reserve."""
    return lambda handle, data: refuse() if reserve.exists() else write(handle, data)


def test_an_entry_on_a_full_disk_is_refused_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", partial_then_full(os.write))
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_a_partial_write_that_cannot_be_cut_off_is_cut_off_by_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", partial_then_full(os.write))
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(StoreFullError):
            log.append({"action": "match", "number": 1})
        with pytest.raises(StoreUnavailableError, match="Input/output error"):
            log.append({"action": "match", "number": 1})
    log.append({"action": "match", "number": 2})
    log.close()
    assert numbers(tmp_path) == [2]
    assert verify_audit(tmp_path).findings == []


def test_a_segment_that_cannot_be_created_leaves_nothing_behind(
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


def test_ping_raises_the_error_of_an_entry_and_appends_none(
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


def test_a_closing_entry_is_kept_when_the_disk_fills_up_during_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    log.append({"action": "enrol", "number": 1})
    reserve = tmp_path / "one" / RESERVE_NAME
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES

    def small_only(size: int) -> bytes:
        return bytes(size) if size < RESERVE_BYTES else refuse()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_while_exists(reserve, os.write))
        patch.setattr(os, "urandom", small_only)
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


def test_after_a_start_on_a_full_disk_the_next_start_gets_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", refuse)
        with pytest.raises(StoreFullError):
            open_audit_log(tmp_path, "one")
    log = open_audit_log(tmp_path, "one")
    assert log.append({"action": "match"}).chain == "one"
    log.close()
    assert verify_audit(tmp_path).findings == []


def test_entries_that_wait_with_a_closing_entry_are_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_audit_log(tmp_path, "one")
    log.append({"action": "enrol", "number": 1})
    reserve = tmp_path / "one" / RESERVE_NAME
    write, started = full_while_exists(reserve, os.write), threading.Event()
    real_write = os.write

    def slow_then_full(handle: int, data: bytes) -> int:
        if not started.is_set():
            started.set()
            time.sleep(0.3)
            return real_write(handle, data)
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
        assert started.wait(5)
        others = [threading.Thread(target=append, args=pair) for pair in ((3, True), (4, False))]
        for thread in others:
            thread.start()
        for thread in (first, *others):
            thread.join()
    log.close()
    assert refused == [4]
    assert numbers(tmp_path) == [1, 2, 3]
