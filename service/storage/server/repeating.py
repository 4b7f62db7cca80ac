"""Decide when a failed call to a Qdrant server is repeated, and how long it may take.

All stores of a process share one `CallWatch`, so that an outage is known to all of them.
"""

import random
import threading
import time
from collections.abc import Callable

from service.identity.retry_budget import current_retry_budget

BUDGET_TIMEOUTS = 2.0
"""For how many timeouts the failing calls of a request are repeated, all together.

With the default timeout this is ten seconds: a cluster takes up to eight until it writes again
after the death of a node. The last attempt may take one more timeout.
"""

QUICK_S = 1.0
"""For how long the other connections are tried during an outage."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


class CallWatch:
    """Counts repeated calls, and knows since when calls fail. Safe to use from many threads.

    Calls that need most copies of a shard are watched apart from those that one copy answers: with
    two of three nodes away, searches succeed and writes fail.
    """

    def __init__(self, on_retry: Callable[[], None] = lambda: None) -> None:
        """`on_retry` is called before a call is repeated."""
        self.repeated = on_retry
        self._lock = threading.Lock()
        self._failing: dict[bool, tuple[float, float]] = {}
        """By whether most copies are needed: the first and the last failure since a success."""

    def succeeded(self, needs_most: bool) -> None:
        """Note a success; one that needed most copies shows that one copy answers, too."""
        if self._failing:
            with self._lock:
                self._failing.pop(needs_most, None)
                if needs_most:
                    self._failing.clear()

    def failed(self, needs_most: bool, within_s: float) -> float:
        """Note a failure; return for how many seconds no such call has succeeded.

        Failures that are more than `within_s` apart are different outages. While not even one copy
        answers, calls that need most copies fail for at least as long.
        """
        now = time.monotonic()
        with self._lock:
            first, last = self._failing.get(needs_most, (now, now))
            self._failing[needs_most] = (now if now - last > within_s else first, now)
            lasting = [
                first
                for kind, (first, last) in self._failing.items()
                if kind in (needs_most, False) and now - last <= within_s
            ]
        return now - min(lasting)


class Attempts:
    """The attempts at one call, the first of which begins now."""

    def __init__(
        self, watch: CallWatch, needs_most: bool, timeout_s: float, connections: int
    ) -> None:
        """Use the budget of the request.

        Args:
            needs_most: whether most copies of a shard must take part.
            connections: to the server, each of which may lead to another node.
        """
        self._watch = watch
        self._needs_most = needs_most
        self._limit_s = BUDGET_TIMEOUTS * timeout_s
        self._connections = connections
        self._budget = current_retry_budget()
        self._made = 0
        self._longest_pause_s = FIRST_PAUSE_S
        self._first_began = self._began = time.monotonic()

    def succeeded(self) -> None:
        """Note that the call was answered."""
        self._watch.succeeded(self._needs_most)

    def failed(self) -> float | None:
        """Note a failure that may pass; return the pause before the next attempt.

        When the budget is spent there is none: return None. In an outage, in which all such calls
        have failed for longer than the budget, each connection is tried once without a pause, and
        no other one after a slow failure, so that requests are answered quickly.
        """
        now = time.monotonic()
        self._made += 1
        pause_s = random.uniform(0.0, self._longest_pause_s)
        self._longest_pause_s = min(2 * self._longest_pause_s, LONGEST_PAUSE_S)
        spent_s = self._budget.spend(self._began, now) + pause_s
        self._began = now
        if self._watch.failed(self._needs_most, self._limit_s) + pause_s >= self._limit_s:
            quick = now - self._first_began < QUICK_S
            return 0.0 if quick and self._made < self._connections else None
        return pause_s if spent_s < self._limit_s else None

    def pause(self, seconds: float) -> None:
        """Count a repeated call, and wait before it."""
        self._watch.repeated()
        time.sleep(seconds)
