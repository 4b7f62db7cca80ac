"""Embeddings already made, so that a chip seen before costs no inference; forgetting is harmless.

In this process (`MemoryCache`), or in Redis for several replicas (`RedisCache`).
"""

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("crossfix.cache")

KEY_PREFIX = b"crossfix:embedding:"
TIMEOUT_S = 0.05
PAUSE_S = 5.0
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

    After a failure Redis is left alone for `pause_s`, so that a dead one costs each request
    nothing; then one caller tries again. Values carry a checksum: damaged ones are unknown.
    Safe for many threads.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = TIMEOUT_S,
        pause_s: float = PAUSE_S,
        expire_s: int = EXPIRE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects when first used.

        Args:
            url: `redis://[user:password@]host:port/database`, `rediss://` or `unix://`.
            timeout_s: a connection or answer that takes longer is a failure.
            pause_s: how long Redis is left alone after a failure.
            expire_s: an embedding is forgotten this long after it was made.
            clock: monotonic seconds.

        Raises:
            ValueError: not a Redis address.
        """
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
        )
        self._expire_s = expire_s
        self._breaker = Breaker(pause_s, clock)

    @property
    def failures(self) -> int:
        """Requests to Redis that failed, since the start."""
        return self._breaker.failures

    def get(self, key: str) -> NDArray[np.float32] | None:
        raw = self._ask(lambda: self._client.get(_name(key)))
        return _unpack(raw) if isinstance(raw, bytes) else None

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        value = _pack(vector)
        self._ask(lambda: self._client.set(_name(key), value, ex=self._expire_s))

    def close(self) -> None:
        self._client.close()

    def _ask(self, request: Callable[[], object]) -> object:
        if not self._breaker.may_try():
            return None
        try:
            answer = request()
        except (redis.RedisError, OSError) as error:
            self._breaker.failed(error)
            return None
        self._breaker.worked()
        return answer


class Breaker:
    """Decides whether to try something that may be broken. Safe for many threads."""

    def __init__(self, pause_s: float, clock: Callable[[], float]) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._turn = threading.Lock()
        self._blocked_until: float | None = None
        self.failures = 0

    @property
    def open(self) -> bool:
        """Whether the last try failed."""
        return self._blocked_until is not None

    def may_try(self) -> bool:
        """True while all is well; after a failure, for one caller each `pause_s`."""
        if not self.open:
            return True
        with self._turn:
            now = self._clock()
            if self._blocked_until is None:
                return True
            if now < self._blocked_until:
                return False
            self._blocked_until = now + self._pause_s
            return True

    def failed(self, error: Exception) -> None:
        """Block, and log the first failure of an outage."""
        with self._turn:
            self.failures += 1
            first = self._blocked_until is None
            self._blocked_until = self._clock() + self._pause_s
        if first:
            log.warning("the embedding cache in Redis fails, going on without it: %s", error)

    def worked(self) -> None:
        with self._turn:
            recovered = self._blocked_until is not None
            self._blocked_until = None
        if recovered:
            log.warning("the embedding cache in Redis works again")


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
