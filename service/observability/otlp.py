"""Spans by OpenTelemetry, sent to a collector by OTLP over HTTP from a thread of their own."""

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

from service.observability.tracing import RequestTrace, present_trace

log = logging.getLogger("crossfix.tracing")

TRACES_PATH = "/v1/traces"
QUEUED_SPANS = 4096
SENT_TOGETHER = 512
SEND_EVERY_MS = 1000
COLLECTOR_TIMEOUT_S = 5.0
CLOSING_TIMEOUT_S = 2.0
SERVER_ERROR = 500


class OtlpTracing:
    """A `Tracing` that sends its spans to a collector.

    Spans wait in a bounded queue; when the collector is slow or gone, the oldest are lost.
    """

    def __init__(self, endpoint: str, share: float, instance: str) -> None:
        """
        Args:
            endpoint: address of the collector; the path of traces is added to it.
            share: of requests that are traced, 0 to 1, chosen by trace id.
            instance: name of this process among the service's replicas.
        """
        # The library complains of each batch that is lost; `Telling` says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=endpoint.rstrip("/") + TRACES_PATH, timeout=COLLECTOR_TIMEOUT_S
        )
        chosen = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            # A sender may leave its requests out; that it traces them itself is no reason to here.
            sampler=ParentBased(
                chosen, remote_parent_sampled=chosen, remote_parent_not_sampled=ALWAYS_OFF
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
                Telling(exporter, endpoint),
                max_queue_size=QUEUED_SPANS,
                schedule_delay_millis=SEND_EVERY_MS,
                max_export_batch_size=SENT_TOGETHER,
            )
        )
        self._tracer = self._provider.get_tracer("crossfix")

    @contextmanager
    def request(self, method: str, request_id: str, parent: str | None) -> Iterator[RequestTrace]:
        """See `Tracing`; what is no `traceparent` begins a trace of its own."""
        span = self._tracer.start_span(
            method,
            context=_received(parent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "crossfix.request_id": request_id},
        )
        token = present_trace.set(trace.format_trace_id(span.get_span_context().trace_id))
        try:
            with trace.use_span(span, end_on_exit=True, record_exception=False):
                yield _Answering(span, method)
        finally:
            present_trace.reset(token)

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """See `Tracing`; outside a request that is traced, nothing."""
        if not trace.get_current_span().is_recording():
            return
        end = time.time_ns()
        for stage, milliseconds in reversed(list(timings_ms.items())):
            begin = end - round(milliseconds * 1e6)
            self._tracer.start_span(stage, start_time=begin).end(end)
            end = begin

    def close(self) -> None:
        """See `Tracing`."""
        # The library's own shutdown may wait for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True, name="spans")
        closing.start()
        closing.join(CLOSING_TIMEOUT_S)


class _Answering:
    """A `RequestTrace` around a span."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def answered(self, route: str | None, status: int) -> None:
        """See `RequestTrace`. Attributes as OpenTelemetry's conventions for HTTP name them."""
        self._span.set_attribute("http.response.status_code", status)
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        if status >= SERVER_ERROR:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))


class Telling(SpanExporter):
    """Says once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        taken = result is SpanExportResult.SUCCESS
        if taken and not self._taken:
            log.info("the collector takes spans again")
        if self._taken and not taken:
            log.warning("%s takes no spans; they are lost until it does", self._endpoint)
        self._taken = taken
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _received(parent: str | None) -> Context:
    """The sender's span; its `tracestate` and baggage are nobody's business here."""
    carrier = {} if parent is None else {"traceparent": parent}
    return TraceContextTextMapPropagator().extract(carrier, context=Context())
