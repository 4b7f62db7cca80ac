"""Match records of versions that kept them in a shard are carried over, whatever interrupts it."""

import shutil
from pathlib import Path

import pytest

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.records.checks import RecordState
from service.identity.records.match_records import MatchRecord
from service.storage.edge import former_matches
from service.storage.edge.former_matches import open_match_file
from service.storage.edge.shard import MARKER, Shard
from service.storage.points.match_payloads import VERDICT, match_point
from service.storage.sqlite.matches import SqliteMatchStore
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import make_vessel

COUNT, BATCH = 25, 10


class KilledError(RuntimeError):
    """The process was killed."""


@pytest.fixture
def path(quick_folder: Path) -> Path:
    return quick_folder / "matches.sqlite"


@pytest.fixture
def former(quick_folder: Path) -> Path:
    return quick_folder / "matches"


@pytest.fixture
def records(former: Path, monkeypatch: pytest.MonkeyPatch) -> list[MatchRecord]:
    """The records of a former shard."""
    monkeypatch.setattr(former_matches, "BATCH", BATCH)
    several = [make_match_record([make_vessel()]) for _ in range(COUNT)]
    shard = Shard(former, 1, {})
    shard.put([match_point(one) for one in several])
    shard.close()
    return several


def contents(path: Path, former: Path) -> list[MatchRecord]:
    matches = open_match_file(path, former)
    found = sorted(matches.all(), key=lambda one: one.id)
    matches.close()
    return found


def test_all_records_are_carried_over_once(
    path: Path, former: Path, records: list[MatchRecord]
) -> None:
    assert contents(path, former) == records
    assert not former.exists()
    assert contents(path, former) == records


@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_a_kill_while_copying_loses_nothing(
    path: Path,
    former: Path,
    records: list[MatchRecord],
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
) -> None:
    left, put = batches, SqliteMatchStore.put_points

    def put_and_perhaps_die(matches: SqliteMatchStore, points: list[object]) -> None:
        nonlocal left
        if left == 0:
            raise KilledError
        left -= 1
        put(matches, points)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SqliteMatchStore, "put_points", put_and_perhaps_die)
        if batches == COUNT // BATCH + 1:
            patch.setattr(Path, "rename", lambda *_: put_and_perhaps_die(None, []))  # type: ignore[arg-type]
        with pytest.raises(KilledError):
            open_match_file(path, former)
    assert former.exists()
    assert contents(path, former) == records


def test_a_kill_while_the_shard_is_removed_loses_nothing(
    path: Path, former: Path, records: list[MatchRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_half(folder: Path, **_: object) -> None:
        if folder.exists():
            (folder / MARKER).unlink()
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", remove_half)
        with pytest.raises(KilledError):
            open_match_file(path, former)
    assert contents(path, former) == records
    assert [one.name for one in path.parent.iterdir() if one.is_dir()] == []


def test_records_that_an_older_version_added_later_are_carried_over_too(
    path: Path, former: Path, records: list[MatchRecord]
) -> None:
    assert contents(path, former) == records
    later = make_match_record()
    shard = Shard(former, 1, {})
    shard.put([match_point(later)])
    shard.close()
    assert contents(path, former) == [*records, later]


def test_damaged_records_stay_damaged(path: Path, former: Path, records: list[MatchRecord]) -> None:
    shard = Shard(former, 1, {})
    shard.set_fields([match_point(records[3]).id], {VERDICT: "confident"})
    shard.close()
    matches = open_match_file(path, former)
    states = [one.state for batch in matches.check_records() for one in batch]
    assert sorted(states) == sorted([RecordState.DAMAGED, *[RecordState.INTACT] * (COUNT - 1)])
    matches.close()


def test_a_damaged_shard_is_left_as_it_is(
    path: Path, former: Path, records: list[MatchRecord]
) -> None:
    del records
    shutil.rmtree(former / "segments")
    with pytest.raises(StoreUnavailableError, match="damaged"):
        open_match_file(path, former)
    assert former.exists()


def test_a_full_disk_leaves_the_shard(
    path: Path, former: Path, records: list[MatchRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_match_file(path, former.with_name("none")).close()
    with monkeypatch.context() as patch:
        patch.setattr("service.storage.local.disk_space.MIN_FREE_BYTES", 2**62)
        with pytest.raises(StoreFullError):
            open_match_file(path, former)
    assert contents(path, former) == records
