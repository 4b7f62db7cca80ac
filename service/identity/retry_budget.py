"""Limit how long the store calls of one request may fail, all together.

A store repeats a call that fails for a moment. The time of failed attempts and of the pauses after
them is taken from one budget for the whole request, so that a request with many calls does not wait
many times. The API begins a budget for each request; in background work each call has its own.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class RetryBudget:
    """The seconds that failed calls have taken. Safe to use from the threads of a request."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._until = -math.inf
        self._lock = threading.Lock()

    def spend(self, began: float, ended: float) -> float:
        """Add a span of the monotonic clock, and return all seconds spent.

        Calls that fail at the same time take the time once.
        """
        with self._lock:
            self.spent_s += max(0.0, ended - max(began, self._until))
            self._until = max(self._until, ended)
            return self.spent_s


_budget: ContextVar[RetryBudget | None] = ContextVar("retry_budget", default=None)


@contextmanager
def one_retry_budget() -> Iterator[RetryBudget]:
    """Let all calls in the block, also those of threads with its context, use one budget."""
    budget = RetryBudget()
    token = _budget.set(budget)
    try:
        yield budget
    finally:
        _budget.reset(token)


def current_retry_budget() -> RetryBudget:
    """Return the budget of the request, or a new one outside a request."""
    return _budget.get() or RetryBudget()
