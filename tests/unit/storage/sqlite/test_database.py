"""An SQLite file: durable, all or nothing, and never begun anew when it is lost."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

import pytest

from service.identity.errors import StoreDamagedError, StoreFullError, StoreUnavailableError
from service.storage.sqlite.database import Database

SCHEMA = ["CREATE TABLE IF NOT EXISTS note (text TEXT)"]
FORKS = multiprocessing.get_context("forkserver")


def open_database(path: Path) -> Database:
    return Database(path, SCHEMA)


def add(database: Database, *texts: str) -> None:
    with database.writing() as writer:
        writer.executemany("INSERT INTO note VALUES (?)", [(text,) for text in texts])


def texts(database: Database) -> list[str]:
    return [text for (text,) in database.read("SELECT text FROM note ORDER BY rowid")]


@pytest.fixture
def path(quick_folder: Path) -> Path:
    return quick_folder / "notes.sqlite"


def write_and_die(path: Path) -> None:
    database = open_database(path)
    add(database, "acknowledged")
    with database.writing() as writer:
        writer.execute("INSERT INTO note VALUES ('under way')")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_what_was_committed(path: Path) -> None:
    process = FORKS.Process(target=write_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    database = open_database(path)
    assert texts(database) == ["acknowledged"]
    database.close()


def test_a_commit_is_flushed_to_disk(path: Path) -> None:
    database = open_database(path)
    [(mode,)], [(level,)] = (
        database._writer.execute(f"PRAGMA {name}") for name in ("journal_mode", "synchronous")
    )
    assert (mode, level) == ("wal", 2)
    database.close()


def test_a_failed_change_is_undone_and_the_next_one_works(path: Path) -> None:
    database = open_database(path)

    def fail_half_way() -> None:
        with database.writing() as writer:
            writer.execute("INSERT INTO note VALUES ('half')")
            writer.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreUnavailableError, match="no such table"):
        fail_half_way()
    add(database, "whole")
    assert texts(database) == ["whole"]
    database.close()


def test_reads_go_on_beside_a_change(path: Path) -> None:
    database = open_database(path)
    add(database, "before")
    seen: list[list[str]] = []
    with database.writing() as writer:
        writer.execute("INSERT INTO note VALUES ('under way')")
        reader = threading.Thread(target=lambda: seen.append(texts(database)))
        reader.start()
        reader.join(10)
    assert seen == [["before"]]
    assert texts(database) == ["before", "under way"]
    database.close()


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_lost_file_is_not_begun_anew(path: Path, lose: object) -> None:
    open_database(path).close()
    lose(path)  # type: ignore[operator]
    with pytest.raises(StoreUnavailableError, match="is missing"):
        open_database(path)


def test_a_damaged_file_is_reported_and_left_as_it_is(path: Path) -> None:
    database = open_database(path)
    add(database, *("text" * 100 for _ in range(100)))
    database.close()
    content = path.read_bytes()
    damaged = b"\xff" * 4096 + content[4096:]
    path.write_bytes(damaged)
    with pytest.raises(StoreDamagedError, match="restore a backup"):
        open_database(path)
    assert path.read_bytes() == damaged
    path.write_bytes(content[:4096] + b"\xff" * 4096 + content[8192:])
    database = open_database(path)
    database.ping()
    for read in (texts, Database.ping, Database.ping):
        with pytest.raises(StoreDamagedError, match="malformed"):
            read(database)
    database.close()


def test_a_full_disk_refuses_changes_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(path)
    add(database, "kept")
    with monkeypatch.context() as patch:
        patch.setattr("service.storage.local.disk_space.MIN_FREE_BYTES", 2**62)
        with pytest.raises(StoreFullError, match="nothing was written"):
            add(database, "refused")
        with pytest.raises(StoreFullError, match="nothing was written"):
            database.ping()
    assert texts(database) == ["kept"]
    database._writer.execute("PRAGMA max_page_count = 1")  # as small as it is already
    with pytest.raises(StoreFullError):
        add(database, *("text" * 1000 for _ in range(10)))
    assert texts(database) == ["kept"]
    database.close()


def test_a_closed_file_refuses_everything(path: Path) -> None:
    database = open_database(path)
    database.close()
    database.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        texts(database)
    with pytest.raises(StoreUnavailableError, match="closed"):
        add(database, "late")
