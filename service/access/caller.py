"""The caller of the request that is being answered, as a context variable.

The API sets it for each request; background work runs as the service itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

SERVICE = "service"
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Caller:
    """The name of a principal (`local` when no keys exist) and the id of the request."""

    name: str
    request_id: str | None = None


_get_caller: ContextVar[Callable[[], Caller] | None] = ContextVar("caller", default=None)


@contextmanager
def called_by(get_caller: Callable[[], Caller]) -> Iterator[None]:
    """Make `current_caller` return what `get_caller` returns at that time."""
    token = _get_caller.set(get_caller)
    try:
        yield
    finally:
        _get_caller.reset(token)


def current_caller() -> Caller:
    """Return the caller of the current request, or the service itself outside a request."""
    get_caller = _get_caller.get()
    return get_caller() if get_caller else Caller(SERVICE)
