"""Tables that a run leaves to the next one, which then need not read every record.

`tables.npz` has the columns of the tables at some moment, without embeddings, which are in files of
their own. While a gallery is open, a `ChangeJournal` names what may have changed since: after a
kill, only the records of that are read. A clean stop leaves tables without a journal, which count
if the files of the stores are still those of the stop.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.durable_files import sync_folder
from service.storage.edge.tables.change_journal import create_journal

FILE = "tables.npz"
JOURNALS = "*.changes*"
ABOUT = "about"

DAMAGED = (
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)

Columns = Mapping[str, Mapping[str, NDArray[Any]]]
"""The arrays of each table, by the name of the table."""


@dataclass(frozen=True)
class SavedTables:
    """Tables as they were saved.

    Attributes:
        id: made anew whenever tables are saved.
    """

    id: UUID
    arrays: Mapping[str, NDArray[Any]]

    def part(self, table: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of one table."""
        start = f"{table}/"
        own = {name: a for name, a in self.arrays.items() if name.startswith(start)}
        return {name.removeprefix(start): a for name, a in own.items()}


def describe(folder: Path, besides: str) -> str:
    """Return name, size in bytes and time of change of each file in a folder, as JSON.

    Args:
        besides: name of a subfolder to leave out.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != besides:
            about = path.stat()
            found[str(name)] = [about.st_size, about.st_mtime_ns]
    return json.dumps(found)


def save(folder: Path, tables: UUID, bundle: str, stores: str, columns: Columns) -> None:
    """Replace the saved tables in one step.

    Args:
        tables: the id of the saved tables, a new one.
        stores: what `describe` returned after the stores were closed; empty if they are open.

    Raises:
        OSError: the disk refuses; the former ones are left.
    """
    arrays: dict[str, Any] = {ABOUT: np.array([str(tables), bundle, stores])}
    arrays |= {f"{table}/{name}": a for table, own in columns.items() for name, a in own.items()}
    fresh = folder / f"{FILE}.new"
    with fresh.open("wb") as file:
        np.savez(file, **arrays)
        if stores:  # the others count only with a journal, which a loss of power ends
            file.flush()
            os.fsync(file.fileno())
    fresh.rename(folder / FILE)
    sync_folder(folder)


def load(folder: Path, bundle: str) -> SavedTables:
    """Return the saved tables.

    Raises:
        ValueError: they are damaged, or of another bundle.
        OSError: there are none, or they cannot be read.
    """
    path = folder / FILE
    with _opened(path) as saved:
        arrays = dict(saved)  # reading an array compares its checksum
        tables, owner, _ = map(str, arrays[ABOUT])
        found = SavedTables(UUID(tables), arrays)
    if owner != bundle:
        raise ValueError(f"{path} is of another bundle")
    return found


def begin(folder: Path, stores: str) -> None:
    """Begin the journal of tables that a clean stop left, before any store is opened.

    Args:
        stores: what `describe` returns.
    """
    try:
        with _opened(folder / FILE) as saved:
            tables, _, as_left = map(str, saved[ABOUT])
            path = journal_of(folder, UUID(tables))
        if as_left == stores and not path.exists():
            create_journal(path, UUID(tables))
    except (OSError, ValueError):
        return  # without a journal they do not count


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open the file for a block; raise ValueError for whatever a damaged one causes there."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            yield saved
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def journal_of(folder: Path, tables: UUID) -> Path:
    """Return the path of the journal of changes since tables were saved."""
    return folder / f"{tables}.changes"


def remove_journals(folder: Path, besides: UUID | None = None) -> None:
    """Remove all journals but that of these tables."""
    for path in folder.glob(JOURNALS):
        if besides is None or path != journal_of(folder, besides):
            path.unlink()


def discard(folder: Path) -> None:
    """Remove saved tables and journals for good; raise OSError if that fails."""
    if folder.is_dir():
        (folder / FILE).unlink(missing_ok=True)
        sync_folder(folder)  # before anything changes: a crash must not bring them back
        remove_journals(folder)


def discard_after_kill(folder: Path) -> None:
    """Remove what a killed run left, for a process whose changes the tables do not follow."""
    if any(folder.glob(JOURNALS)):
        discard(folder)
