"""A `ChipStore` in a dictionary."""

import hashlib

from service.identity.errors import NotFoundError


class FakeChipStore:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    def get(self, sha256: str) -> bytes:
        try:
            return self.kept[sha256]
        except KeyError:
            raise NotFoundError(f"no chip {sha256} is kept here") from None

    def delete(self, sha256: str) -> None:
        self.kept.pop(sha256, None)

    def ping(self) -> None:
        return
