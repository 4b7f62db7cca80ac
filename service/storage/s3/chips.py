"""Original chips in an S3-compatible bucket, named by the SHA-256 of their bytes.

Object `chips/<sha256>` under the bucket's prefix. S3 stores an object in one step and durably
before it answers, so a key always means complete bytes.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime

from service.identity.errors import NotFoundError, StoreUnavailableError
from service.identity.ports.chips import ChipEntry
from service.storage.local.chips import DIGEST, require_digest
from service.storage.s3.bucket import Bucket

FOLDER = "chips/"


class BucketChipStore:
    """A `ChipStore` that replicas and jobs on many machines share. Safe for many threads."""

    def __init__(self, bucket: Bucket) -> None:
        """Takes the bucket over; `close` closes it."""
        self._bucket = bucket

    def put(self, data: bytes) -> str:
        """Always sends the bytes, so that a repeat heals what was damaged and counts as recent."""
        digest = hashlib.sha256(data).hexdigest()
        self._bucket.put(_key(digest), data)
        return digest

    def get(self, sha256: str) -> bytes:
        data = self._bucket.get(_key(sha256))
        if data is None:
            raise NotFoundError(f"no chip {sha256} is kept here")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreUnavailableError(
                f"the bytes of chip {sha256} have changed in the bucket; restore {_key(sha256)} "
                "from a backup or upload the chip again"
            )
        return data

    def delete(self, sha256: str) -> None:
        self._bucket.delete(_key(sha256))

    def stored(self) -> Iterator[ChipEntry]:
        for kept in self._bucket.objects(FOLDER):
            digest = kept.key.removeprefix(FOLDER)
            if DIGEST.fullmatch(digest):
                yield ChipEntry(digest, kept.size_bytes, kept.stored_at)

    def stored_at(self, sha256: str) -> datetime:
        kept = self._bucket.about(_key(sha256))
        if kept is None:
            raise NotFoundError(f"no chip {sha256} is kept here")
        return kept.stored_at

    def ping(self) -> None:
        self._bucket.reach()

    def close(self) -> None:
        self._bucket.close()


def _key(sha256: str) -> str:
    require_digest(sha256)
    return f"{FOLDER}{sha256}"
