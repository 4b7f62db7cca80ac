"""Who is asking, known throughout one request without being handed from function to function.

The API says it at the door; work that no request asked for is done by the service itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

SERVICE = "service"
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Caller:
    """The name of a principal, `local` while no keys exist, and the id of the request."""

    name: str
    request_id: str | None = None


_asking: ContextVar[Callable[[], Caller] | None] = ContextVar("caller", default=None)


@contextmanager
def called_by(who: Callable[[], Caller]) -> Iterator[None]:
    """Within, `present_caller` is whatever `who` returns when it is looked at."""
    token = _asking.set(who)
    try:
        yield
    finally:
        _asking.reset(token)


def present_caller() -> Caller:
    """Who asks for what is being done now."""
    who = _asking.get()
    return who() if who else Caller(SERVICE)
