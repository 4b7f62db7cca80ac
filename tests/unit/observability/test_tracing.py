"""Tracing that was not asked for, cannot be had, or has nobody to send to."""

import builtins
import logging
import socket
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from service.observability.metrics import Telemetry
from service.observability.otlp import OtlpTracing, Telling
from service.observability.tracing import Untraced, present_trace
from service.settings import Settings, SettingsError, load_settings
from service.wiring.tracing import open_tracing


def settings(**given: Any) -> Settings:
    return load_settings(**given)


def test_nothing_is_traced_by_default() -> None:
    assert isinstance(open_tracing(settings()), Untraced)
    assert isinstance(open_tracing(settings(tracing_endpoint="")), Untraced)


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317", "http://c/v1/traces"])
def test_an_endpoint_is_an_address_alone(wrong: str) -> None:
    with pytest.raises(SettingsError, match="CROSSFIX_TRACING_ENDPOINT"):
        settings(tracing_endpoint=wrong)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "service.observability.otlp":
            raise ModuleNotFoundError("no opentelemetry", name="opentelemetry")
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r"opentelemetry is not installed.*crossfix\[tracing\]"):
        open_tracing(settings(tracing_endpoint="http://collector:4318"))


def test_the_end_does_not_wait_long_for_a_silent_collector() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracing = OtlpTracing(url, share=1.0, instance="test")
        for number in range(2000):
            with tracing.request("GET", str(number), None) as one:
                one.answered("/gallery", 200)
        began = time.monotonic()
        tracing.close()
    # Four batches, five seconds each, would be the library's way.
    assert time.monotonic() - began < 10


def test_of_a_share_of_none_nothing_is_recorded_but_logs_still_name_the_trace() -> None:
    tracing = OtlpTracing("http://127.0.0.1:9", share=0.0, instance="test")
    telemetry = Telemetry(tracing)
    sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with tracing.request("GET", "id", sent):
        telemetry.observe_stages({"search": 1.0})
        assert present_trace.get() == sent[3:35]
    assert present_trace.get() is None
    tracing.close()


class Moody(SpanExporter):
    """Takes spans or does not, as it is told."""

    def __init__(self, *moods: bool) -> None:
        self._moods = list(moods)

    def export(self, spans: object) -> SpanExportResult:
        taken = self._moods.pop(0)
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE


def test_losing_the_collector_is_said_once_and_so_is_finding_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telling = Telling(Moody(True, False, False, False, True, True), "http://collector:4318")
    with caplog.at_level(logging.INFO, "crossfix.tracing"):
        for _ in range(6):
            telling.export([])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "http://collector:4318 takes no spans" in caplog.records[0].message
