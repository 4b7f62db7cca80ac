"""An audit log in a list."""

from collections.abc import Mapping
from typing import Any

from service.identity.errors import StoreFullError
from service.identity.records.audit import AuditPosition


class FakeAuditLog:
    """Keeps entries in memory; raises StoreFullError when `room` more were written."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.room = 1_000_000

    def append(self, entry: Mapping[str, object], *, closing: bool = False) -> AuditPosition:
        del closing  # a list needs no reserve for closing entries
        if not self.room:
            raise StoreFullError("the audit log is full")
        self.room -= 1
        self.entries.append(dict(entry))
        return AuditPosition(chain="fake", number=len(self.entries), sha256="0" * 64)

    def ping(self) -> None:
        return

    def close(self) -> None:
        return
