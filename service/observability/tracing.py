"""One trace for each request, for operators who collect them. By default nobody does.

What sends traces is `tracing_otlp`; `collector` chooses.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol


class RequestTrace(Protocol):
    """The trace of one request under way."""

    def answered(self, route: str | None, status: int) -> None:
        """Say how it ended; `route` is None where the path is none of the service's."""


class Tracing(Protocol):
    """Records what is done, and never holds up or breaks what it records."""

    def request(
        self, method: str, request_id: str, parent: str | None
    ) -> AbstractContextManager[RequestTrace]:
        """The span of a request, for as long as the context lasts.

        Args:
            method: of HTTP.
            request_id: as in the answer's `X-Request-ID`.
            parent: the `traceparent` header (W3C Trace Context) that came with it.
        """

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """Spans of stages that have run one after the other until now, in this order."""

    def close(self) -> None:
        """Send what is left, but do not wait long for it."""


class Untraced:
    """A `Tracing` that records nothing."""

    @contextmanager
    def request(self, method: str, request_id: str, parent: str | None) -> Iterator[RequestTrace]:
        yield self

    def answered(self, route: str | None, status: int) -> None:
        return

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        return

    def close(self) -> None:
        return


present_trace: ContextVar[str | None] = ContextVar("trace", default=None)
"""Id of the trace that belongs to what is being done now, 32 hexadecimal digits."""
