"""One Redis, shared by all that use it: short time-outs, and left alone for a while when it fails.

Nothing of value lives in Redis alone, so every user goes on without it.
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


class RedisAwayError(Exception):
    """Redis failed, or failed a moment ago and is left alone."""


class RedisLink:
    """Asks Redis, and gives it up for `pause_s` after a failure, so that a dead one costs nothing.

    After the pause one caller tries again. Safe for many threads.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = TIMEOUT_S,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects when first used.

        Args:
            url: `redis://[user:password@]host:port/database`, `rediss://` or `unix://`.
            timeout_s: a connection or answer that takes longer is a failure.
            pause_s: how long Redis is left alone after a failure.
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
        self._breaker = Breaker(pause_s, clock)

    @property
    def failures(self) -> int:
        """Requests to Redis that failed, since the start."""
        return self._breaker.failures

    def ask(self, request: Callable[[Any], T]) -> T:
        """What `request` gets from the client and makes of it; what it raises is a failure, too.

        Raises:
            RedisAwayError: no answer; the request may or may not have been done.
        """
        if not self._breaker.may_try():
            raise RedisAwayError("Redis is left alone after a failure")
        try:
            answer = request(self._client)
        except Exception as error:
            # To an answer that is not Redis's the client raises whatever its parser stumbles over.
            self._breaker.failed(error)
            raise RedisAwayError(str(error)) from error
        self._breaker.worked()
        return answer

    def close(self) -> None:
        self._client.close()


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
            log.warning("Redis fails, going on without it: %s", error)

    def worked(self) -> None:
        with self._turn:
            recovered = self._blocked_until is not None
            self._blocked_until = None
        if recovered:
            log.warning("Redis works again")
