"""Tracing that is off, is not installed, or has no collector to send to."""

import builtins
import logging
import socket
import threading
import time
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from service.observability import otlp
from service.observability.metrics import Telemetry
from service.observability.otlp import CLOSING_THREAD, OtlpTracing, OutageLogger
from service.observability.tracing import Tracing, current_trace_id
from service.settings import Settings, SettingsError, load_settings
from service.wiring.tracing import open_tracing


def settings(**overrides: Any) -> Settings:
    return load_settings(**overrides)


def test_nothing_is_traced_by_default() -> None:
    assert type(open_tracing(settings())) is Tracing
    assert type(open_tracing(settings(tracing_endpoint=""))) is Tracing


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317", "http://c/v1/traces"])
def test_endpoint_must_be_an_http_address_without_a_path(wrong: str) -> None:
    with pytest.raises(SettingsError, match="CROSSFIX_TRACING_ENDPOINT"):
        settings(tracing_endpoint=wrong)


def test_error_of_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def import_without_otlp(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "service.observability.otlp":
            raise ModuleNotFoundError("no opentelemetry", name="opentelemetry")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", import_without_otlp)
    with pytest.raises(SettingsError, match=r"opentelemetry is not installed.*crossfix\[tracing\]"):
        open_tracing(settings(tracing_endpoint="http://collector:4318"))


def test_close_does_not_wait_long_for_a_collector_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporters: list[SpanExporter] = []

    def record_exporter(**options: Any) -> SpanExporter:
        exporters.append(OTLPSpanExporter(**options))
        return exporters[-1]

    monkeypatch.setattr(otlp, "OTLPSpanExporter", record_exporter)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracing = OtlpTracing(url, share=1.0, instance="test")
        for number in range(2000):
            with tracing.request("GET", str(number), None) as trace:
                trace.record_response("/gallery", 200)
        started = time.monotonic()
        tracing.close()
    # The library alone would send four batches and wait five seconds for each.
    assert time.monotonic() - started < 10
    # Without this, the background thread would go on during other tests and change their `random`.
    exporters[0].shutdown()
    for thread in threading.enumerate():
        if thread.name == CLOSING_THREAD:
            thread.join(30)


def test_with_a_share_of_zero_logs_still_have_the_trace_id() -> None:
    tracing = OtlpTracing("http://127.0.0.1:9", share=0.0, instance="test")
    telemetry = Telemetry(tracing)
    sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with tracing.request("GET", "id", sent):
        telemetry.observe_stages({"search": 1.0})
        assert current_trace_id.get() == sent[3:35]
    assert current_trace_id.get() is None
    tracing.close()


class ScriptedExporter(SpanExporter):
    """Succeeds or fails in a given order."""

    def __init__(self, *successes: bool) -> None:
        self._successes = list(successes)

    def export(self, _spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self._successes.pop(0) else SpanExportResult.FAILURE


def test_an_outage_of_the_collector_is_logged_once_at_its_start_and_once_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = ScriptedExporter(True, False, False, False, True, True)
    logger = OutageLogger(exporter, "http://collector:4318")
    with caplog.at_level(logging.INFO, "crossfix.tracing"):
        for _ in range(6):
            logger.export([])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "http://collector:4318 accepts no spans" in caplog.records[0].message
