"""One trace for each request, for operators who collect them. By default nobody does.

What sends traces is `tracing_otlp`, which is imported only where a collector is named.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

from service.settings import PREFIX, Settings, SettingsError


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


def open_tracing(settings: Settings) -> Tracing:
    """As the settings have it.

    Raises:
        SettingsError: a collector is named, but what speaks to it is not installed.
    """
    if settings.tracing_endpoint is None:
        return Untraced()
    try:
        from service.tracing_otlp import OtlpTracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{PREFIX}TRACING_ENDPOINT: {error.name} is not installed; install crossfix[tracing], "
            "or leave the setting unset"
        ) from error
    return OtlpTracing(settings.tracing_endpoint, settings.tracing_share, settings.replica)
