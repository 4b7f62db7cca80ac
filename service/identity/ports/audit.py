"""The port of the audit log."""

from collections.abc import Mapping
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
