"""The port of the rate limiter."""

from typing import Protocol


class RateLimiter(Protocol):
    """Limits the requests of each caller. Safe to call from many threads."""

    def take(self, caller: str) -> float:
        """Count one request of this caller against its limit.

        Returns:
            0 when the request is granted, otherwise the seconds after which it would be.
        """
