"""An OpenTelemetry collector that takes spans by OTLP over HTTP and keeps them."""

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
class KeptSpan:
    """A span as it was received; ids in hexadecimal, times in nanoseconds since 1970."""

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
    """What was received until now."""

    url: str
    spans: list[KeptSpan] = field(default_factory=list)

    def wait_for(
        self, wanted: Callable[[KeptSpan], bool], count: int = 1, limit_s: float = 10.0
    ) -> list[KeptSpan]:
        """The spans that are wanted, as soon as there are so many.

        Raises:
            AssertionError: they did not come in time.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            found = [span for span in list(self.spans) if wanted(span)]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{[span.name for span in self.spans]} came, not what was wanted")


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path != TRACES_PATH:
                self.send_error(404)
                return
            collector.spans.extend(kept(ExportTraceServiceRequest.FromString(body)))
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


def kept(request: ExportTraceServiceRequest) -> Iterator[KeptSpan]:
    """The spans of one message."""
    for of_one in request.resource_spans:
        resource = plain(of_one.resource.attributes)
        for scope in of_one.scope_spans:
            for span in scope.spans:
                yield KeptSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    begin_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=plain(span.attributes),
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    resource=resource,
                )


def plain(attributes: object) -> dict[str, object]:
    """Attributes of OTLP as Python has them."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value"))
        for one in attributes  # type: ignore[attr-defined]
    }
