"""Prometheus metrics and JSON logs."""

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.access.caller import current_caller
from service.contract.framing.records import Framing
from service.contract.similarity import SIMILARITY_EDGES
from service.observability.drift import ExpectedShare
from service.observability.tracing import Tracing, current_trace_id

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class Telemetry:
    """The metrics of one application, in a registry of its own so that tests share no counts."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing or Tracing()
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.requests = histogram(
            "crossfix_request_seconds",
            "Duration of HTTP requests",
            ("method", "route", "status"),
            buckets=STAGE_BUCKETS,
        )
        self.stages = histogram(
            "crossfix_stage_seconds",
            "Duration of the stages of a request",
            ("stage",),
            buckets=STAGE_BUCKETS,
        )
        self.batches = histogram(
            "crossfix_batch_size", "Chips that ran together", ("lane",), buckets=BATCH_BUCKETS
        )
        self.queue_depth = gauge("crossfix_queue_depth", "Chips that wait", ("lane",))
        self.vessels = gauge("crossfix_gallery_vessels", "Registered vessels")
        self.sightings = gauge("crossfix_gallery_sightings", "Sightings of registered vessels")
        self.verdicts = counter("crossfix_verdicts", "Matches by verdict", ("verdict",))
        self.judgements = counter(
            "crossfix_judgements",
            "Judgements of analysts, by the verdict of the match and the vessel confirmed",
            ("verdict", "decision", "vessel"),
        )
        self.framings = counter("crossfix_framings", "Chips by how they were framed", ("method",))
        self.chip_quality = counter(
            "crossfix_chip_quality", "Framed chips by what was judged, and how", ("kind", "level")
        )
        self.similarity = histogram(
            "crossfix_top_similarity",
            "Cosine similarity of the first candidate of a search through the whole gallery",
            ("query", "gallery"),
            buckets=SIMILARITY_EDGES,
        )
        self.expected_similarity = gauge(
            "crossfix_expected_similarity",
            "Share of first candidates at most this similar when the bundle was calibrated",
            ("query", "gallery", "enrolled", "le"),
        )
        self.errors = counter("crossfix_errors", "Rejected or failed requests by kind", ("kind",))
        self.redis_failures = gauge(
            "crossfix_redis_failures", "Requests to Redis that failed since the start"
        )
        self.damaged_records = gauge(
            "crossfix_damaged_records", "Stored records that the last check found damaged"
        )
        self.store_retries = counter(
            "crossfix_store_retries", "Calls to the shared gallery that were repeated"
        )
        self.unstored = counter(
            "crossfix_unstored_matches",
            "Matches that were answered and could not be stored: waiting or lost",
            ("outcome",),
        )
        self.outbox = gauge("crossfix_outbox_matches", "Answered matches that wait to be stored")
        self.webhook = counter(
            "crossfix_webhook_attempts",
            "Attempts to send a new match to the webhook: delivered, failed or given_up",
            ("outcome",),
        )
        self.bundle = Info("crossfix_bundle", "The models that answer", registry=self.registry)
        self._refresh: Callable[[], None] = lambda: None
        self._expected: tuple[ExpectedShare, ...] = ()

    def observe_stages(self, timings_ms: Mapping[str, float]) -> None:
        """Record the milliseconds of stages that ran one after the other until now, in order."""
        for stage, milliseconds in timings_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1000.0)
        self.tracing.stages(timings_ms)

    def count_framing(self, framing: Framing) -> None:
        """Count a chip by how it was framed, and by the level of each finding."""
        self.framings.labels(framing.method).inc()
        for finding in framing.findings:
            self.chip_quality.labels(finding.kind.value, finding.level.value).inc()

    def expect_similarities(self, shares: tuple[ExpectedShare, ...]) -> None:
        """Replace the shares that the calibration expects."""
        if shares == self._expected:
            return
        self._expected = shares
        self.expected_similarity.clear()
        for expected in shares:
            self.expected_similarity.labels(
                expected.query,
                expected.gallery,
                f"{expected.enrolled:g}",
                _edge_label(expected.edge),
            ).set(expected.share)

    def on_scrape(self, refresh: Callable[[], None]) -> None:
        """Set the function that sets the gauges before each exposition."""
        self._refresh = refresh

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus text format, and its content type."""
        self._refresh()
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


def _edge_label(edge: float) -> str:
    """Format an edge like the label `le` of a histogram, so that queries can join both."""
    return "+Inf" if math.isinf(edge) else repr(edge)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"fields": {...}}` adds keys.

    A line that is logged during a request has the id of the request, and of its trace if any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_current_ids(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _current_ids() -> dict[str, str]:
    ids = {"request_id": current_caller().request_id, "trace_id": current_trace_id.get()}
    return {name: value for name, value in ids.items() if value is not None}


def configure_logging() -> None:
    """Send every log line to standard error as JSON; query strings are left out."""
    logging.getLogger("uvicorn.access").addFilter(_without_query)
    for name in ("httpx", "qdrant_client"):  # they log each request
        logging.getLogger(name).setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _without_query(record: logging.LogRecord) -> bool:
    """Cut the query string off an access line of uvicorn, because it may hold names and positions.

    The arguments of the line are client, method, path, version and status.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(
            value.partition("?")[0] if isinstance(value, str) else value for value in record.args
        )
    return True
