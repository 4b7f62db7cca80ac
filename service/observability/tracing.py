"""The port for tracing: one trace for each request. By default nothing is traced.

`otlp` implements it, and `service.wiring.tracing` chooses the implementation.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol


class RequestTrace(Protocol):
    """The trace of a request in progress."""

    def record_response(self, route: str | None, status: int) -> None:
        """Record the status; `route` is None if no route matched the path."""


class Tracing(Protocol):
    """Records traces; never delays or fails the work that it records."""

    def request(
        self, method: str, request_id: str, parent: str | None
    ) -> AbstractContextManager[RequestTrace]:
        """Open the span of a request for the duration of the context.

        Args:
            request_id: the value of the response header `X-Request-ID`.
            parent: the request header `traceparent` (W3C Trace Context).
        """

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """Record the spans of stages that ran one after the other until now, in this order."""

    def close(self) -> None:
        """Send the spans that wait, within a short time."""


class NoTracing:
    """A `Tracing` that records nothing."""

    @contextmanager
    def request(
        self, _method: str, _request_id: str, _parent: str | None
    ) -> Iterator[RequestTrace]:
        """See `Tracing`."""
        yield self

    def record_response(self, _route: str | None, _status: int) -> None:
        """See `RequestTrace`."""

    def stages(self, _timings_ms: Mapping[str, float]) -> None:
        """See `Tracing`."""

    def close(self) -> None:
        """See `Tracing`."""


current_trace_id: ContextVar[str | None] = ContextVar("trace", default=None)
"""The id of the current request's trace, 32 hexadecimal digits."""
