"""An OpenTelemetry collector that receives spans by OTLP over HTTP and keeps them."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

TRACES_PATH = "/v1/traces"


@dataclass(frozen=True)
class ReceivedSpan:
    """A received span: ids in hexadecimal, times in nanoseconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    begin_ns: int
    end_ns: int
    attributes: dict[str, object]
    failed: bool
    resource: dict[str, object]


@dataclass
class Collector:
    """The address of the collector and the spans received so far."""

    url: str
    spans: list[ReceivedSpan] = field(default_factory=list)

    def wait_for(
        self, wanted: Callable[[ReceivedSpan], bool], count: int = 1, limit_s: float = 10.0
    ) -> list[ReceivedSpan]:
        """Wait until `count` spans satisfy `wanted`; return them.

        Raises:
            AssertionError: too few arrived in time.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            found = [span for span in list(self.spans) if wanted(span)]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(
            f"{[span.name for span in self.spans]} arrived, too few of them wanted"
        )


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run a collector on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path != TRACES_PATH:
                self.send_error(404)
                return
            collector.spans.extend(received_spans(ExportTraceServiceRequest.FromString(body)))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def received_spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """Yield the spans of a message."""
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    begin_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=_plain(span.attributes),
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    resource=resource,
                )


def _plain(attributes: object) -> dict[str, object]:
    """Return attributes of OTLP as Python values."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value"))
        for one in attributes  # type: ignore[attr-defined]
    }
