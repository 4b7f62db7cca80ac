"""Matches that wait in a folder: kept durably and within limits, damaged ones put aside."""

from pathlib import Path

import numpy as np
import pytest

from service.identity.errors import StoreFullError
from service.identity.ports.outbox import AnsweredMatch
from service.storage.local.outbox import FolderOutbox
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import embedded

CHIP = b"II*\0 a chip\nwith a line break"


def make_answered(*chips: bytes) -> AnsweredMatch:
    return AnsweredMatch([(one, embedded(0.5)) for one in chips or (CHIP,)], make_match_record([]))


def test_a_match_is_read_back_as_it_was_put(tmp_path: Path) -> None:
    first, second = make_answered(), make_answered(b"", CHIP, b"\n\n")
    for one in (first, second):
        FolderOutbox(tmp_path / "outbox").put(one)
    reopened = FolderOutbox(tmp_path / "outbox")
    assert set(reopened.ids()) == {first.record.id, second.record.id}
    for one in (first, second):
        got = reopened.get(one.record.id)
        assert got is not None
        assert got.record == one.record
        for (chip, sighting), (put, known) in zip(got.chips, one.chips, strict=True):
            assert (chip, sighting.sighting) == (put, known.sighting)
            np.testing.assert_array_equal(sighting.vector, known.vector)
    reopened.remove(first.record.id)
    reopened.remove(first.record.id)
    assert list(reopened.ids()) == [second.record.id]
    assert reopened.get(first.record.id) is None


def test_an_outbox_that_was_never_used_is_empty(tmp_path: Path) -> None:
    assert list(FolderOutbox(tmp_path / "none").ids()) == []


def test_number_and_size_are_limited(tmp_path: Path) -> None:
    few = FolderOutbox(tmp_path / "few", most_matches=2)
    few.put(make_answered())
    few.put(make_answered())
    with pytest.raises(StoreFullError, match="2 matches wait"):
        few.put(make_answered())
    small = FolderOutbox(tmp_path / "small", most_bytes=10_000)
    small.put(make_answered())
    with pytest.raises(StoreFullError):
        small.put(make_answered(bytes(10_000)))
    assert len(few.ids()) == 2
    assert len(small.ids()) == 1


def test_a_full_disk_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.storage.local.outbox.MIN_FREE_BYTES", 2**62)
    outbox = FolderOutbox(tmp_path / "outbox")
    with pytest.raises(StoreFullError, match="full"):
        outbox.put(make_answered())
    assert list(outbox.ids()) == []


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"\xff\n", b'{"record": 1}\nrest'])
def test_a_damaged_match_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    outbox = FolderOutbox(tmp_path)
    one = make_answered()
    outbox.put(one)
    [path] = tmp_path.iterdir()
    path.write_bytes(damage)
    assert outbox.get(one.record.id) is None
    assert list(outbox.ids()) == []
    assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]


def test_a_changed_chip_is_damage(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    one = make_answered()
    outbox.put(one)
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert outbox.get(one.record.id) is None
