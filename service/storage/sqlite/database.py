"""One SQLite file that only this process has open."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from service.contract.durable_files import sync_folder
from service.identity.errors import StoreDamagedError, StoreFullError, StoreUnavailableError
from service.storage.local.disk_errors import disk_errors
from service.storage.local.disk_space import require_room

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a committed change survives a loss of power
    "PRAGMA journal_size_limit = 33554432",
    "PRAGMA temp_store = MEMORY",  # the root of a container may be read-only
)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One connection that writes, and one that reads at the same time. For many threads."""

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        """Open the file, or create it; its folder is created where needed.

        Args:
            path: the file. A mark beside it says that it was created.
            schema: the statements that create what does not exist.

        Raises:
            StoreDamagedError: the file is damaged.
            StoreUnavailableError: it is missing, or cannot be used.
            StoreFullError: the disk is full.
        """
        self.path = path
        self._damage: str | None = None
        self._writing, self._reading = threading.Lock(), threading.Lock()
        created = path.with_name(f"{path.name}.created")
        with disk_errors(f"use {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            require_room(path.parent)
            if created.exists() and not (path.exists() and path.stat().st_size):
                raise StoreUnavailableError(
                    f"{path} is missing; restore a backup, or remove {created.name} to begin anew"
                )
        with self._translated_errors():
            self._writer = self._connect()
            for statement in (*PRAGMAS, *schema):
                self._writer.execute(statement)
            self._reader = self._connect()
        with disk_errors(f"use {path}"):
            created.touch()
            sync_folder(path.parent)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Make the changes of a block in one transaction, which is on disk when the block ends.

        Raises:
            StoreFullError, StoreUnavailableError: nothing was changed.
        """
        require_room(self.path.parent)
        with self._writing, self._translated_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # some errors end the transaction
                    self._writer.execute("ROLLBACK")
                raise

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query, as of the latest committed change."""
        with self._reading, self._translated_errors():
            return self._reader.execute(statement, values).fetchall()

    def ping(self) -> None:
        """Raise the error that a change would raise now, or that of a page found damaged before."""
        if self._damage is not None:
            raise StoreDamagedError(self._damage)
        with self.writing():
            pass

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._writing, self._reading, self._translated_errors():
            self._reader.close()
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        """Connect without implicit transactions, for threads that the locks serialise."""
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells more of it
            if code == sqlite3.SQLITE_FULL:
                raise StoreFullError(f"the disk of {self.path} is full") from error
            if code in DAMAGED:
                self._damage = (
                    f"{self.path} is damaged and was left as it is ({error}); restore a backup"
                )
                raise StoreDamagedError(self._damage) from error
            raise StoreUnavailableError(f"{self.path} does not answer: {error}") from error
