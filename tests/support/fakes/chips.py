"""A `ChipStore` in a dictionary."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from service.identity.errors import NotFoundError
from service.identity.ports.chips import ChipEntry


class FakeChipStore:
    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.stored_times: dict[str, datetime] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.data[digest] = data
        self.stored_times[digest] = datetime.now(UTC)
        return digest

    def put_all(self, chips: Iterable[bytes]) -> list[str]:
        return [self.put(data) for data in chips]

    def get(self, sha256: str) -> bytes:
        self._check(sha256)
        if sha256 not in self.data:
            raise NotFoundError(f"no chip {sha256}")
        return self.data[sha256]

    def delete(self, sha256: str) -> None:
        self._check(sha256)
        self.data.pop(sha256, None)

    def stored(self) -> Iterator[ChipEntry]:
        for digest, data in list(self.data.items()):
            yield ChipEntry(digest, len(data), self.stored_times[digest])

    def stored_at(self, sha256: str) -> datetime:
        self.get(sha256)
        return self.stored_times[sha256]

    def ping(self) -> None:
        return

    def close(self) -> None:
        return

    def _check(self, sha256: str) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise NotFoundError(f"{sha256!r} is not a digest")
