"""Traces of a real service, with a collector that receives them and with collectors that fail."""

import itertools
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.doubles.otlp_collector import Collector, ReceivedSpan, running_collector
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, free_port, running_service

EMBED_STAGES = ["decode", "frame", "recall", "wait", "denoise", "encode", "remember"]
MATCH_STAGES = [*EMBED_STAGES, "search"]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as one:
        yield one


@pytest.fixture(scope="module")
def traced(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    settings = {"CROSSFIX_TRACING_ENDPOINT": collector.url, "CROSSFIX_REPLICA": "replica-7"}
    folder = tmp_path_factory.mktemp("traced")
    with running_service(folder, settings=settings) as service:
        yield service


@pytest.fixture
def api(traced: ServiceProcess) -> Iterator[httpx.Client]:
    with traced.client() as client:
        yield client


def request_span(collector: Collector, answer: httpx.Response) -> ReceivedSpan:
    request_id = answer.headers["X-Request-ID"]
    (span,) = collector.wait_for(lambda s: s.attributes.get("crossfix.request_id") == request_id)
    return span


def test_a_match_is_a_tree_of_its_stages(api: httpx.Client, collector: Collector) -> None:
    answer = api.post("/match", files={"chip": sar_tiff(1)}, headers={"X-Request-ID": "mine"})
    root = request_span(collector, answer)
    assert root.name == "POST /match"
    assert root.parent_id == ""
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/match",
        "http.response.status_code": 200,
        "crossfix.request_id": "mine",
    }
    assert root.resource["service.name"] == "crossfix"
    assert root.resource["service.instance.id"] == "replica-7"
    stages = [s for s in collector.spans if s.trace_id == root.trace_id and s != root]
    stages.sort(key=lambda s: (s.begin_ns, s.end_ns))
    assert [s.name for s in stages] == [*MATCH_STAGES, "audit", "store"]
    assert {s.parent_id for s in stages} == {root.span_id}
    assert root.begin_ns <= stages[0].begin_ns
    assert stages[-1].end_ns <= root.end_ns
    for earlier, later in itertools.pairwise(stages):
        assert earlier.end_ns <= later.begin_ns
    timings_ms = answer.json()["timings_ms"]
    for name in ("decode", "encode", "search"):
        (stage,) = [s for s in stages if s.name == name]
        assert (stage.end_ns - stage.begin_ns) / 1e6 == pytest.approx(timings_ms[name], abs=0.01)


def test_enrolment_is_traced_with_its_writes(api: httpx.Client, collector: Collector) -> None:
    chips = [("chips", optical_png(1)), ("chips", optical_png(2))]
    answer = api.post("/gallery", data={"vessel": '{"name": "A"}'}, files=chips)
    root = request_span(collector, answer)
    assert root.name == "POST /gallery"
    names = [s.name for s in collector.spans if s.parent_id == root.span_id]
    counts = {name: names.count(name) for name in ("decode", "fuse", "store", "audit")}
    # the shipped bundle fuses nothing
    assert counts == {"decode": 2, "fuse": 0, "store": 1, "audit": 2}


def test_the_trace_of_the_client_is_continued(api: httpx.Client, collector: Collector) -> None:
    answer = api.get("/gallery", headers={"traceparent": TRACEPARENT, "tracestate": "a=b"})
    span = request_span(collector, answer)
    assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])


@pytest.mark.parametrize(
    "sent",
    [
        ["nonsense"],
        [TRACEPARENT.replace("4bf9", "4BF9")],
        [f"00-{'0' * 32}-00f067aa0ba902b7-01"],
        [TRACEPARENT + "-" + "x" * 4000],
        [TRACEPARENT, TRACEPARENT],
    ],
)
def test_an_invalid_traceparent_is_ignored(
    api: httpx.Client, collector: Collector, sent: list[str]
) -> None:
    answer = api.get("/gallery", headers=[("traceparent", one) for one in sent])
    assert answer.status_code == 200
    span = request_span(collector, answer)
    assert span.parent_id == ""
    assert span.trace_id != TRACEPARENT[3:35]


def test_refusals_are_traced_and_probes_are_not(api: httpx.Client, collector: Collector) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert api.get(path).status_code == 200
    refused = request_span(collector, api.post("/match", files={"chip": b"no picture"}))
    assert refused.attributes["http.response.status_code"] == 415
    assert not refused.failed
    nowhere = request_span(collector, api.get("/nowhere"))
    assert nowhere.name == "GET"
    assert "http.route" not in nowhere.attributes
    routes = {span.attributes.get("http.route") for span in collector.spans}
    assert not routes & {"/livez", "/readyz", "/metrics"}


def test_log_lines_name_the_request_and_its_trace(
    api: httpx.Client, collector: Collector, traced: ServiceProcess
) -> None:
    answer = api.get("/gallery", headers={"X-Request-ID": "looked-for"})
    span = request_span(collector, answer)
    lines = [json.loads(line) for line in traced.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "looked-for"]
    assert line["trace_id"] == span.trace_id


def test_a_client_may_opt_out_of_tracing(api: httpx.Client, collector: Collector) -> None:
    untraced = api.get("/gallery", headers={"traceparent": TRACEPARENT[:-2] + "00"})
    request_span(collector, api.get("/gallery"))
    ids = {span.attributes.get("crossfix.request_id") for span in collector.spans}
    assert untraced.headers["X-Request-ID"] not in ids


@contextmanager
def silent_listener() -> Iterator[str]:
    """Yield an address that accepts connections and never responds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def timed_match(api: httpx.Client) -> tuple[float, list[dict[str, object]]]:
    """Return the latency of a match in seconds, and its candidates."""
    began = time.perf_counter()
    answer = api.post("/match", files={"chip": sar_tiff(1)}, data={"store": "false"})
    duration = time.perf_counter() - began
    assert answer.status_code == 200
    return duration, [
        {key: one[key] for key in ("rank", "probability", "similarity")}
        for one in answer.json()["candidates"]
    ]


def test_a_failing_collector_neither_delays_nor_changes_answers(tmp_path: Path) -> None:
    durations: dict[str, list[float]] = {"refusing": [], "silent": [], "none": []}
    with ExitStack() as stack:
        collectors = {
            "refusing": f"http://127.0.0.1:{free_port()}",
            "silent": stack.enter_context(silent_listener()),
            "none": "",
        }
        services = {
            name: stack.enter_context(
                running_service(tmp_path / name, settings={"CROSSFIX_TRACING_ENDPOINT": url})
            )
            for name, url in collectors.items()
        }
        clients = {
            name: stack.enter_context(service.client()) for name, service in services.items()
        }
        for api in clients.values():
            api.post("/gallery", data={"vessel": '{"name": "A"}'}, files={"chips": optical_png(1)})
        for number in range(20):
            if number == 10:
                time.sleep(1.5)  # from now on, the first batch of spans is being exported
            answers = []
            for name, api in clients.items():
                seconds, found = timed_match(api)
                durations[name].append(seconds)
                answers.append(found)
            assert answers[0] == answers[1] == answers[2] != []
    medians = {name: statistics.median(seconds) for name, seconds in durations.items()}
    for name in ("refusing", "silent"):
        # Waiting for the collector would take seconds each time.
        assert medians[name] < 2 * medians["none"] + 0.01
        assert services[name].process.returncode == 0
        lines = [json.loads(line) for line in services[name].log.read_text().splitlines()]
        assert len([line for line in lines if line["logger"] == "crossfix.tracing"]) <= 1
        assert not [line for line in lines if line["logger"].startswith("opentelemetry")]
