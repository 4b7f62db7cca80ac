"""The port of the audit log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class AuditLog(Protocol):
    """The append-only record of what was done. Safe to call from many threads."""

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> None:
        """Keep the entry so that it survives a crash; entries are JSON values.

        Args:
            entry: what was done.
            closing: whether it ends what an entry before it began; room is kept for such, so that
                a disk that fills up between the two does not refuse what is already done.

        Raises:
            StoreUnavailableError, StoreFullError: the entry is not kept.
        """
        ...

    def ping(self) -> None:
        """Raise what `append` would raise now; no entry is made."""
        ...

    def close(self) -> None: ...


class AuditArchive(Protocol):
    """The files of the audit log as a whole, for backups."""

    def describe(self) -> str:
        """Return where the log is, for messages."""
        ...

    def is_empty(self) -> bool:
        """Return whether the log has no entry yet."""
        ...

    def copy_to(self, folder: Path) -> int:
        """Copy every chain into a folder, while services may write on; return their number.

        Raises:
            OSError: a file cannot be read or written.
        """
        ...

    def copy_from(self, folder: Path) -> None:
        """Copy the chains of a backup here.

        Raises:
            OSError: a file cannot be read or written.
        """
        ...
