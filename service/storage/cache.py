"""Embeddings already made, so that a chip seen before costs no inference; forgetting is harmless.

In this process (`MemoryCache`), or in Redis for several replicas (`RedisCache`).
"""

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from service.storage.redis_link import RedisAwayError, RedisLink

KEY_PREFIX = b"crossfix:embedding:"
EXPIRE_S = 30 * 24 * 3600


class MemoryCache:
    """The most recently used embeddings of this process. Safe for many threads."""

    def __init__(self, entries: int) -> None:
        """Keep at most this many; with 0 everything is forgotten at once."""
        self._most = entries
        self._turn = threading.Lock()
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(self, key: str) -> NDArray[np.float32] | None:
        with self._turn:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        """The cache keeps its own copy, which nobody can change."""
        kept = vector.astype(np.float32, copy=True)
        kept.flags.writeable = False
        with self._turn:
            self._vectors[key] = kept
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._most:
                self._vectors.popitem(last=False)


class RedisCache:
    """Embeddings in Redis; when it is slow, full or gone, every key is simply unknown.

    Values carry a checksum: damaged ones are unknown. Safe for many threads.
    """

    def __init__(self, link: RedisLink, expire_s: int = EXPIRE_S) -> None:
        """Embeddings are forgotten `expire_s` after they were made."""
        self._link = link
        self._expire_s = expire_s

    def get(self, key: str) -> NDArray[np.float32] | None:
        try:
            raw: object = self._link.ask(lambda redis: redis.get(_name(key)))
        except RedisAwayError:
            return None
        return _unpack(raw) if isinstance(raw, bytes) else None

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        value = _pack(vector)
        with suppress(RedisAwayError):
            self._link.ask(lambda redis: redis.set(_name(key), value, ex=self._expire_s))


def _name(key: str) -> bytes:
    return KEY_PREFIX + key.encode()


def _pack(vector: NDArray[np.float32]) -> bytes:
    """Checksum and little-endian float32 numbers."""
    numbers = vector.astype("<f4").tobytes()
    return _checksum(numbers) + numbers


def _unpack(raw: bytes) -> NDArray[np.float32] | None:
    checksum, numbers = raw[:8], raw[8:]
    if not numbers or len(numbers) % 4 or _checksum(numbers) != checksum:
        return None
    return np.frombuffer(numbers, dtype="<f4").astype(np.float32)


def _checksum(numbers: bytes) -> bytes:
    return hashlib.blake2b(numbers, digest_size=8).digest()
