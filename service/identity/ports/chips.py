"""The port of the chip store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChipEntry:
    """A stored chip; `stored_at` is when it was last put, UTC by the store's clock."""

    sha256: str
    size_bytes: int
    stored_at: datetime


class ChipStore(Protocol):
    """Original chips by the SHA-256 of their bytes. Safe to call from many threads.

    All methods raise `StoreUnavailableError` when the store does not answer; `put` and `put_all`
    raise `StoreFullError` when it is full.
    """

    def put(self, data: bytes) -> str:
        """Store the bytes durably and return their SHA-256; a repeat only renews `stored_at`."""

    def put_all(self, chips: Iterable[bytes]) -> list[str]:
        """Store several chips, each as `put` does; some of them may be stored when it fails."""

    def get(self, sha256: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFoundError: the chip is not stored.
            StoreUnavailableError: the chip is damaged or cannot be read.
        """

    def delete(self, sha256: str) -> None:
        """Delete a chip; an absent one is ignored."""

    def stored(self) -> Iterator[ChipEntry]:
        """Iterate over all chips, used by a sighting or not."""

    def stored_at(self, sha256: str) -> datetime:
        """Return when the chip was last put, UTC; raise NotFoundError when it is not stored."""

    def ping(self) -> None:
        """Reach the store quickly, or raise `StoreUnavailableError`."""

    def close(self) -> None:
        """Close the connection or files of the store."""
