"""Tracing: one trace for each request. By default nothing is traced.

`otlp` sends traces, and `service.wiring.tracing` chooses whether it does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar


class RequestTrace:
    """The trace of a request in progress; this one records nothing."""

    def record_response(self, route: str | None, status: int) -> None:
        """Record the status; `route` is None if no route matched the path."""


class Tracing:
    """Records traces, and never delays or fails the work that it records; this one records none."""

    @contextmanager
    def request(self, method: str, request_id: str, parent: str | None) -> Iterator[RequestTrace]:
        """Open the span of a request for the duration of the context.

        Args:
            method: of the HTTP request.
            request_id: the value of the response header `X-Request-ID`.
            parent: the request header `traceparent` (W3C Trace Context).
        """
        del method, request_id, parent
        yield RequestTrace()

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """Record the spans of stages that ran one after the other until now, in this order."""

    def close(self) -> None:
        """Send the spans that wait, within a short time."""


current_trace_id: ContextVar[str | None] = ContextVar("trace", default=None)
"""The id of the current request's trace, 32 hexadecimal digits."""
