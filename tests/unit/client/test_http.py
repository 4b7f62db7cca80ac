import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from service.client.errors import RefusedError, StoppedError, UnreachableError
from service.client.http import ChipPart, CrossfixClient, retry_after_s
from tests.support.fakes.service import multipart, problem

Handler = Callable[[httpx.Request], httpx.Response]
CHIP = ChipPart("0001_s1c1_SAR.tif", b"\x00bytes", {"modality": "sar", "gsd_m": 1.0})


def client(handler: Handler, **options: object) -> CrossfixClient:
    return CrossfixClient(transport=httpx.MockTransport(handler), **options)  # type: ignore[arg-type]


def respond(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that gives or raises one response after another, and its requests."""
    remaining, requests = list(responses), []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = remaining.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return handler, requests


def test_match_sends_the_chip_and_its_fields() -> None:
    handler, requests = respond(httpx.Response(200, json={"verdict": "ambiguous"}))
    body = client(handler).match(CHIP, {"top_k": 3, "store": False})
    assert body == {"verdict": "ambiguous"}
    assert (requests[0].method, requests[0].url.path) == ("POST", "/match")
    parts = multipart(requests[0])
    assert ("chip", CHIP.name, CHIP.data) in parts
    fields = {name: content for name, file, content in parts if file is None}
    assert fields == {"top_k": b"3", "store": b"false", "modality": b"sar", "gsd_m": b"1.0"}


@pytest.mark.parametrize(("status", "created"), [(201, True), (200, False)])
def test_enrol_reports_whether_the_vessel_is_new(status: int, created: bool) -> None:
    handler, requests = respond(httpx.Response(status, json={}))
    assert client(handler).enrol({"name": "ALPHA"}, [CHIP, CHIP]) is created
    fields = {name: content for name, file, content in multipart(requests[0]) if file is None}
    assert json.loads(fields["vessel"]) == {"name": "ALPHA"}
    assert json.loads(fields["chip_metadata"]) == [CHIP.metadata, CHIP.metadata]


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_service_is_called_again_after_retry_after(status: int) -> None:
    later = problem(status, "overloaded", "later", **{"Retry-After": "1"})
    handler, requests = respond(later, httpx.Response(200, json={"device": "cpu"}))
    began = time.monotonic()
    assert client(handler).bundle() == {"device": "cpu"}
    assert len(requests) == 2
    assert 1.0 <= time.monotonic() - began < 3.0


def test_a_retry_after_beyond_the_patience_ends_in_refusal() -> None:
    later = problem(503, "store-unavailable", "the store is away", **{"Retry-After": "30"})
    handler, requests = respond(later)
    with pytest.raises(RefusedError, match="the store is away") as refused:
        client(handler, patience_s=5).bundle()
    assert (refused.value.status, refused.value.kind) == (503, "store-unavailable")
    assert len(requests) == 1


def test_other_problems_are_not_repeated() -> None:
    handler, requests = respond(problem(422, "chip-size", "too small"))
    with pytest.raises(RefusedError, match="too small") as refused:
        client(handler).match(CHIP, {})
    assert refused.value.is_about_a_chip
    assert len(requests) == 1


def test_an_error_without_a_problem_document_is_reported_by_its_status() -> None:
    handler, _ = respond(httpx.Response(500, text="<html>"))
    with pytest.raises(RefusedError, match="answered 500") as refused:
        client(handler).bundle()
    assert refused.value.kind == "http-500"
    assert not refused.value.is_about_a_chip


def test_a_request_whose_connection_broke_is_repeated() -> None:
    lost = httpx.ReadError("connection reset")
    handler, requests = respond(lost, httpx.Response(200, json={"device": "cpu"}))
    assert client(handler).bundle() == {"device": "cpu"}
    assert len(requests) == 2


def test_an_unreachable_service_is_reported_with_a_remedy() -> None:
    handler, requests = respond(*(httpx.ConnectError("refused") for _ in range(4)))
    with pytest.raises(UnreachableError, match="crossfix serve"):
        client(handler).bundle()
    assert len(requests) == 4


def test_waiting_ends_when_the_client_is_stopped() -> None:
    stopping = threading.Event()
    handler, _ = respond(problem(503, "x", "later", **{"Retry-After": "60"}))
    threading.Timer(0.2, stopping.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        client(handler, stopping=stopping).bundle()
    assert time.monotonic() - began < 5


def test_require_alive_accepts_only_a_crossfix_service() -> None:
    client(respond(httpx.Response(200, json={"status": "alive"}))[0]).require_alive()
    with pytest.raises(UnreachableError, match="not a Crossfix service"):
        client(respond(httpx.Response(200, text="hello"))[0]).require_alive()
    handler, requests = respond(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="crossfix serve"):
        client(handler).require_alive()
    assert len(requests) == 1


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "http://", "http://[::1"])
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(UnreachableError, match="is not an address"):
        CrossfixClient(url)


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after_s(None, 0.5) == 0.5
    assert retry_after_s("7", 0.5) == 7.0
    assert retry_after_s("soon", 0.5) == 0.5
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_s(date, 0.5) <= 30
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", 0.5) == 0.0
