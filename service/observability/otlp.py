"""Send traces to an OpenTelemetry collector, by OTLP over HTTP from a background thread."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.observability.tracing import RequestTrace, Tracing, current_trace_id

log = logging.getLogger("crossfix.tracing")

TRACES_PATH = "/v1/traces"
MAX_QUEUED_SPANS = 4096
MAX_SPANS_PER_EXPORT = 512
EXPORT_INTERVAL_MS = 1000
COLLECTOR_TIMEOUT_S = 5.0
CLOSING_TIMEOUT_S = 2.0
CLOSING_THREAD = "spans"
SERVER_ERROR = 500


class OtlpTracing(Tracing):
    """Sends its spans to a collector.

    Spans wait in a bounded queue; when the collector is slow or unreachable, the oldest are lost.
    """

    def __init__(self, endpoint: str, share: float, instance: str) -> None:
        """Start the background thread.

        Args:
            endpoint: address of the collector, to which `TRACES_PATH` is appended.
            share: share of requests that are traced, 0 to 1, chosen by trace id.
            instance: name of this process among the service's replicas.
        """
        # The library logs every lost batch; `OutageLogger` logs an outage once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=endpoint.rstrip("/") + TRACES_PATH, timeout=COLLECTOR_TIMEOUT_S
        )
        sampler = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            # A client can exclude its requests from tracing, but cannot force it beyond the share.
            sampler=ParentBased(
                sampler, remote_parent_sampled=sampler, remote_parent_not_sampled=ALWAYS_OFF
            ),
            resource=Resource.create(
                {
                    "service.name": "crossfix",
                    "service.version": version("crossfix"),
                    "service.instance.id": instance,
                }
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OutageLogger(exporter, endpoint),
                max_queue_size=MAX_QUEUED_SPANS,
                schedule_delay_millis=EXPORT_INTERVAL_MS,
                max_export_batch_size=MAX_SPANS_PER_EXPORT,
            )
        )
        self._tracer = self._provider.get_tracer("crossfix")

    @contextmanager
    def request(self, method: str, request_id: str, parent: str | None) -> Iterator[RequestTrace]:
        """See `Tracing`; a malformed `parent` starts a new trace."""
        span = self._tracer.start_span(
            method,
            context=_context(parent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "crossfix.request_id": request_id},
        )
        token = current_trace_id.set(trace.format_trace_id(span.get_span_context().trace_id))
        try:
            with trace.use_span(span, end_on_exit=True, record_exception=False):
                yield _SpanTrace(span, method)
        finally:
            current_trace_id.reset(token)

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """See `Tracing`; outside a traced request, nothing is recorded."""
        if not trace.get_current_span().is_recording():
            return
        end = time.time_ns()
        for stage, milliseconds in reversed(list(timings_ms.items())):
            begin = end - round(milliseconds * 1e6)
            self._tracer.start_span(stage, start_time=begin).end(end)
            end = begin

    def close(self) -> None:
        """See `Tracing`."""
        # The library's own shutdown may take half a minute.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True, name=CLOSING_THREAD)
        closing.start()
        closing.join(CLOSING_TIMEOUT_S)


class _SpanTrace(RequestTrace):
    """A `RequestTrace` around a span."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def record_response(self, route: str | None, status: int) -> None:
        """See `RequestTrace`; attributes follow OpenTelemetry's conventions for HTTP."""
        self._span.set_attribute("http.response.status_code", status)
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        if status >= SERVER_ERROR:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))


class OutageLogger(SpanExporter):
    """Logs once when the collector stops accepting spans, and once when it accepts them again."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._accepting = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        result = self._exporter.export(spans)
        accepting = result is SpanExportResult.SUCCESS
        if accepting and not self._accepting:
            log.info("the collector accepts spans again")
        if self._accepting and not accepting:
            log.warning("%s accepts no spans; they are lost until it does", self._endpoint)
        self._accepting = accepting
        return result

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


def _context(parent: str | None) -> Context:
    """Return the context of the client's span; its `tracestate` and baggage are not used."""
    carrier = {} if parent is None else {"traceparent": parent}
    return TraceContextTextMapPropagator().extract(carrier, context=Context())
