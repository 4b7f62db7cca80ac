"""Original chips in an S3-compatible bucket, named by the SHA-256 of their bytes.

Objects `chips/<sha256>` under the bucket's prefix. S3 stores an object in one step and durably
before it responds, so every object is complete.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from service.identity.errors import NotFoundError, StoreUnavailableError
from service.identity.ports.chips import ChipEntry
from service.storage.local.chips import DIGEST, require_digest
from service.storage.s3.bucket import Bucket

FOLDER = "chips/"


class BucketChipStore:
    """A `ChipStore` that replicas and jobs on many machines share."""

    def __init__(self, bucket: Bucket) -> None:
        """Use a bucket, which `close` closes."""
        self._bucket = bucket

    def put(self, data: bytes) -> str:
        """Send the bytes even if the chip exists, to repair a damaged object and renew its time."""
        digest = hashlib.sha256(data).hexdigest()
        self._bucket.put(_key(digest), data)
        return digest

    def put_all(self, chips: Iterable[bytes]) -> list[str]:
        return [self.put(data) for data in chips]

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
        for stored in self._bucket.objects(FOLDER):
            digest = stored.key.removeprefix(FOLDER)
            if DIGEST.fullmatch(digest):
                yield ChipEntry(digest, stored.size_bytes, stored.stored_at)

    def stored_at(self, sha256: str) -> datetime:
        stored = self._bucket.find(_key(sha256))
        if stored is None:
            raise NotFoundError(f"no chip {sha256} is kept here")
        return stored.stored_at

    def ping(self) -> None:
        self._bucket.ping()

    def close(self) -> None:
        self._bucket.close()


def _key(sha256: str) -> str:
    require_digest(sha256)
    return f"{FOLDER}{sha256}"
