"""The port of the chip store: original chips by their digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChipEntry:
    """A chip that is kept, and when it was last put, UTC by the store's clock."""

    sha256: str
    size_bytes: int
    stored_at: datetime


class ChipStore(Protocol):
    """Original chips by the SHA-256 of their bytes. Safe to call from many threads.

    All raise `StoreUnavailableError` when the store does not answer; `put` raises `StoreFullError`
    when it is full, and the chip is then not kept.
    """

    def put(self, data: bytes) -> str:
        """Keep the bytes durably and return their SHA-256; a repeat renews `stored_at` alone."""
        ...

    def get(self, sha256: str) -> bytes:
        """Raises NotFoundError when unknown, StoreUnavailableError when damaged or unreadable."""
        ...

    def delete(self, sha256: str) -> None:
        """Absent is fine."""
        ...

    def stored(self) -> Iterator[ChipEntry]:
        """Every chip, whether anything refers to it or not."""
        ...

    def stored_at(self, sha256: str) -> datetime:
        """When the chip was last put, UTC; raises NotFoundError when unknown."""
        ...

    def ping(self) -> None:
        """Reach the store quickly, or raise `StoreUnavailableError`."""
        ...

    def close(self) -> None: ...
