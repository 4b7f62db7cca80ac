"""A `ChipStore` in a dictionary."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from service.identity.errors import NotFoundError
from service.identity.ports.chips import ChipEntry


class FakeChipStore:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.times: dict[str, datetime] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        self.times[digest] = datetime.now(UTC)
        return digest

    def get(self, sha256: str) -> bytes:
        self._check(sha256)
        if sha256 not in self.kept:
            raise NotFoundError(f"no chip {sha256}")
        return self.kept[sha256]

    def delete(self, sha256: str) -> None:
        self._check(sha256)
        self.kept.pop(sha256, None)

    def stored(self) -> Iterator[ChipEntry]:
        for digest, data in list(self.kept.items()):
            yield ChipEntry(digest, len(data), self.times[digest])

    def stored_at(self, sha256: str) -> datetime:
        self.get(sha256)
        return self.times[sha256]

    def ping(self) -> None:
        return

    def close(self) -> None:
        return

    def _check(self, sha256: str) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise NotFoundError(f"{sha256!r} is not a digest")
