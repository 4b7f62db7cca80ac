"""A `ChipStore` in a dictionary."""

import hashlib
import re

from service.identity.errors import NotFoundError


class FakeChipStore:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    def get(self, sha256: str) -> bytes:
        self._check(sha256)
        if sha256 not in self.kept:
            raise NotFoundError(f"no chip {sha256}")
        return self.kept[sha256]

    def delete(self, sha256: str) -> None:
        self._check(sha256)
        self.kept.pop(sha256, None)

    def ping(self) -> None:
        return

    def _check(self, sha256: str) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise NotFoundError(f"{sha256!r} is not a digest")
