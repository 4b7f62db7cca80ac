"""Rate limits in the memory of this process.

The generic cell rate algorithm (ITU-T I.371; a token bucket stored as one number): each granted
request moves the caller's theoretical arrival time on by one interval, and a request is granted
while that time is at most `burst - 1` intervals ahead of now.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """The limit of every caller: requests a minute, and how many of them at once (`burst`)."""

    per_minute: int
    burst: int

    @property
    def interval_s(self) -> float:
        """Seconds between two requests at the steady rate."""
        return 60.0 / self.per_minute

    @property
    def ahead_s(self) -> float:
        """Seconds by which the theoretical arrival time may be ahead of now."""
        return (self.burst - 1) * self.interval_s


class MemoryRateLimiter:
    """A `RateLimiter` of this process alone."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals: dict[str, float] = {}

    def take(self, caller: str) -> float:
        with self._lock:
            now = self._clock()
            arrival = max(self._arrivals.get(caller, now), now)
            early_s = arrival - now - self._rate.ahead_s
            # Sums of intervals are off by rounding; a nanosecond early is not early.
            if early_s > 1e-9:
                return early_s
            if len(self._arrivals) >= MAX_CALLERS:
                self._drop_idle(now)
            self._arrivals[caller] = arrival + self._rate.interval_s
            return 0.0

    def _drop_idle(self, now: float) -> None:
        """Drop callers that have their whole burst again; if none does, drop the oldest callers."""
        busy = {caller: at for caller, at in self._arrivals.items() if at > now}
        while len(busy) >= MAX_CALLERS:
            del busy[next(iter(busy))]
        self._arrivals = busy
