"""Embeddings in Redis, shared by all replicas."""

import hashlib
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from service.storage.redis.link import RedisLink, RedisUnavailableError

KEY_PREFIX = b"crossfix:embedding:"
EXPIRE_S = 30 * 24 * 3600


class RedisCache:
    """An `EmbeddingCache` in Redis; while Redis fails, every key is unknown.

    Each value carries a checksum: a damaged value is unknown. Safe to call from many threads.
    """

    def __init__(self, link: RedisLink, expire_s: int = EXPIRE_S) -> None:
        """Keep each embedding for `expire_s` seconds."""
        self._link = link
        self._expire_s = expire_s

    def get(self, key: str) -> NDArray[np.float32] | None:
        try:
            raw: object = self._link.run(lambda redis: redis.get(_name(key)))
        except RedisUnavailableError:
            return None
        return _unpack(raw) if isinstance(raw, bytes) else None

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        value = _pack(vector)
        with suppress(RedisUnavailableError):
            self._link.run(lambda redis: redis.set(_name(key), value, ex=self._expire_s))


def _name(key: str) -> bytes:
    return KEY_PREFIX + key.encode()


def _pack(vector: NDArray[np.float32]) -> bytes:
    """Return 8 bytes of checksum and D little-endian float32 numbers."""
    numbers = vector.astype("<f4").tobytes()
    return _checksum(numbers) + numbers


def _unpack(raw: bytes) -> NDArray[np.float32] | None:
    checksum, numbers = raw[:8], raw[8:]
    if not numbers or len(numbers) % 4 or _checksum(numbers) != checksum:
        return None
    return np.frombuffer(numbers, dtype="<f4").astype(np.float32)


def _checksum(numbers: bytes) -> bytes:
    return hashlib.blake2b(numbers, digest_size=8).digest()
