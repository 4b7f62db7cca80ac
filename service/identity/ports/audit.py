"""The port of the audit log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from service.identity.records.audit import AuditPosition


class AuditLog(Protocol):
    """The append-only log of matches and changes. Safe to call from many threads."""

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> AuditPosition:
        """Write an entry so that it survives a crash; return its place in the log.

        Args:
            entry: JSON values by name.
            closing: whether the entry is the second one of a change; space is reserved for these,
                so that a disk that fills up during a change does not reject its second entry.

        Raises:
            StoreUnavailableError, StoreFullError: the entry was not written.
        """

    def ping(self) -> None:
        """Raise what `append` would raise now, without writing an entry."""

    def close(self) -> None:
        """Close the connection or files of the store."""


class AuditArchive(Protocol):
    """The files of the audit log as a whole, for backups."""

    def describe(self) -> str:
        """Return where the log is, for messages."""

    def is_empty(self) -> bool:
        """Return whether the log has no entry yet."""

    def copy_to(self, folder: Path) -> int:
        """Copy every chain into a folder, while services may write on; return their number.

        Raises:
            OSError: a file cannot be read or written.
        """

    def copy_from(self, folder: Path) -> None:
        """Copy the chains of a backup here; raise OSError if a file cannot be read or written."""
