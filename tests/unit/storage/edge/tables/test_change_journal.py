"""The journal keeps every entry, and tells when it is not what was written."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.identity.errors import StoreUnavailableError
from service.storage.edge.tables import change_journal
from service.storage.edge.tables.change_journal import (
    SIGHTING,
    VESSEL,
    ChangeJournal,
    create_journal,
    entries_of,
    ids_of,
)

TABLES = UUID(int=7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def filled(path: Path) -> set[bytes]:
    """Write a journal and return its entries."""
    journal = create_journal(path, TABLES)
    first, second = entries_of([uuid4(), uuid4()]), entries_of([], [uuid4()])
    journal.note(first)
    journal.note([])
    journal.note(second)
    assert len(journal) == 3
    return {*first, *second}


def test_entries_are_found_again(path: Path) -> None:
    entries = filled(path)
    journal = ChangeJournal(path, TABLES)
    assert journal.found == entries
    more = entries_of([uuid4()])
    journal.note(more)
    found = ChangeJournal(path, TABLES).found
    assert found == entries | {*more}
    assert {*entries_of(ids_of(SIGHTING, found), ids_of(VESSEL, found))} == found
    assert (len(ids_of(SIGHTING, found)), len(ids_of(VESSEL, found))) == (3, 1)


def test_entries_after_the_last_that_counts_are_not_found(path: Path) -> None:
    """The process was killed while it wrote them: their change has not begun."""
    entries = filled(path)
    with path.open("ab") as file:
        file.write(SIGHTING + uuid4().bytes[:9])
    journal = ChangeJournal(path, TABLES)
    assert journal.found == entries
    more = entries_of([uuid4()])
    journal.note(more)
    assert ChangeJournal(path, TABLES).found == entries | {*more}


def test_any_damage_is_found(path: Path) -> None:
    filled(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="journal"):
            ChangeJournal(path, TABLES)
        path.write_bytes(whole[:place])
        with pytest.raises(ValueError, match="journal"):
            ChangeJournal(path, TABLES)


def test_a_journal_of_something_else_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    with pytest.raises(ValueError, match="of other tables"):
        ChangeJournal(path, UUID(int=8))
    copied = path.with_name("copy")
    copied.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="a copy"):
        ChangeJournal(copied, TABLES)
    monkeypatch.setattr(change_journal, "_boot_id", lambda: bytes(16))
    with pytest.raises(ValueError, match="before the last boot"):
        ChangeJournal(path, TABLES)


def test_an_entry_that_cannot_be_written_is_not_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = filled(path)
    journal = ChangeJournal(path, TABLES)

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        with pytest.raises(StoreUnavailableError):
            journal.note(entries_of([uuid4()]))
    assert len(journal) == 3
    assert ChangeJournal(path, TABLES).found == entries
