"""The connection to Redis, with short time-outs and a circuit breaker.

Nothing is stored in Redis alone, so every store that uses it goes on while Redis fails.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("crossfix.redis")

TIMEOUT_S = 0.05
PAUSE_S = 5.0

T = TypeVar("T")


class RedisUnavailableError(Exception):
    """Redis failed, or the circuit breaker is open after a failure."""


class RedisLink:
    """A connection to Redis behind a circuit breaker. Safe to call from many threads."""

    def __init__(
        self,
        url: str,
        timeout_s: float = TIMEOUT_S,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send nothing yet.

        Args:
            url: `redis://[user:password@]host:port/database`, `rediss://` or `unix://`.
            timeout_s: seconds after which a connection or a response counts as failed.
            pause_s: seconds without requests after a failure.

        Raises:
            ValueError: `url` is not a Redis address.
        """
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
        )
        self._breaker = CircuitBreaker(pause_s, clock)

    @property
    def failures(self) -> int:
        """The number of failed requests since the start."""
        return self._breaker.failures

    def run(self, request: Callable[[Any], T]) -> T:
        """Call `request` with the client and return its result; any exception is a failure.

        Raises:
            RedisUnavailableError: no response; Redis may or may not have executed the request.
        """
        if not self._breaker.allows_request():
            raise RedisUnavailableError("Redis failed a moment ago, so no request is sent yet")
        try:
            result = request(self._client)
        except Exception as error:
            # The client's parser raises all kinds of exceptions for bytes that are not Redis's.
            self._breaker.record_failure(error)
            raise RedisUnavailableError(str(error)) from error
        self._breaker.record_success()
        return result

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class CircuitBreaker:
    """A circuit breaker: opens at a failure, then allows one trial request every `pause_s`."""

    def __init__(self, pause_s: float, clock: Callable[[], float]) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._blocked_until: float | None = None
        self.failures = 0

    def allows_request(self) -> bool:
        """Return True after a success; after a failure, for one caller every `pause_s`."""
        with self._lock:
            now = self._clock()
            if self._blocked_until is None:
                return True
            if now < self._blocked_until:
                return False
            self._blocked_until = now + self._pause_s
            return True

    def record_failure(self, error: Exception) -> None:
        """Open the breaker; log the first failure of an outage."""
        with self._lock:
            self.failures += 1
            first = self._blocked_until is None
            self._blocked_until = self._clock() + self._pause_s
        if first:
            log.warning("Redis fails, going on without it: %s", error)

    def record_success(self) -> None:
        """Close the breaker; log the end of an outage."""
        with self._lock:
            recovered = self._blocked_until is not None
            self._blocked_until = None
        if recovered:
            log.warning("Redis works again")
