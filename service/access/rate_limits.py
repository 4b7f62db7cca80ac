"""The port of the rate limiter."""

from typing import Protocol


class RateLimiter(Protocol):
    """Shares out requests. Safe to call from many threads."""

    def take(self, caller: str) -> float:
        """Take one request of this caller.

        Returns:
            0 when it is granted, otherwise the seconds after which it would be.
        """
        ...
