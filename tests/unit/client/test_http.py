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

Answer = Callable[[httpx.Request], httpx.Response]
CHIP = ChipPart("0001_s1c1_SAR.tif", b"\x00bytes", {"modality": "sar", "gsd_m": 1.0})


def client(answer: Answer, **options: object) -> CrossfixClient:
    return CrossfixClient(transport=httpx.MockTransport(answer), **options)  # type: ignore[arg-type]


def in_turn(*answers: httpx.Response | Exception) -> tuple[Answer, list[httpx.Request]]:
    """Each request gets the next answer; an exception is raised."""
    waiting, seen = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = waiting.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return answer, seen


def test_match_sends_the_chip_and_its_fields() -> None:
    answer, seen = in_turn(httpx.Response(200, json={"verdict": "ambiguous"}))
    body = client(answer).match(CHIP, {"top_k": 3, "store": False})
    assert body == {"verdict": "ambiguous"}
    assert (seen[0].method, seen[0].url.path) == ("POST", "/match")
    parts = multipart(seen[0])
    assert ("chip", CHIP.name, CHIP.data) in parts
    fields = {name: content for name, file, content in parts if file is None}
    assert fields == {"top_k": b"3", "store": b"false", "modality": b"sar", "gsd_m": b"1.0"}


@pytest.mark.parametrize(("status", "created"), [(201, True), (200, False)])
def test_enrol_tells_new_from_known(status: int, created: bool) -> None:
    answer, seen = in_turn(httpx.Response(status, json={}))
    assert client(answer).enrol({"name": "ALPHA"}, [CHIP, CHIP]) is created
    fields = {name: content for name, file, content in multipart(seen[0]) if file is None}
    assert json.loads(fields["vessel"]) == {"name": "ALPHA"}
    assert json.loads(fields["chip_metadata"]) == [CHIP.metadata, CHIP.metadata]


@pytest.mark.parametrize("status", [429, 503])
def test_overload_is_waited_out_as_long_as_the_service_asks(status: int) -> None:
    later = problem(status, "overloaded", "later", **{"Retry-After": "1"})
    answer, seen = in_turn(later, httpx.Response(200, json={"device": "cpu"}))
    began = time.monotonic()
    assert client(answer).bundle() == {"device": "cpu"}
    assert len(seen) == 2
    assert 1.0 <= time.monotonic() - began < 3.0


def test_patience_ends() -> None:
    later = problem(503, "store-unavailable", "the store is away", **{"Retry-After": "30"})
    answer, seen = in_turn(later)
    with pytest.raises(RefusedError, match="the store is away") as refused:
        client(answer, patience_s=5).bundle()
    assert (refused.value.status, refused.value.kind) == (503, "store-unavailable")
    assert len(seen) == 1


def test_other_problems_are_not_repeated() -> None:
    answer, seen = in_turn(problem(422, "chip-size", "too small"))
    with pytest.raises(RefusedError, match="too small") as refused:
        client(answer).match(CHIP, {})
    assert refused.value.is_about_a_chip
    assert len(seen) == 1


def test_an_answer_that_is_no_problem_document_is_told_by_its_status() -> None:
    answer, _ = in_turn(httpx.Response(500, text="<html>"))
    with pytest.raises(RefusedError, match="answered 500") as refused:
        client(answer).bundle()
    assert refused.value.kind == "http-500"
    assert not refused.value.is_about_a_chip


def test_a_broken_connection_is_tried_again() -> None:
    lost = httpx.ReadError("connection reset")
    answer, seen = in_turn(lost, httpx.Response(200, json={"device": "cpu"}))
    assert client(answer).bundle() == {"device": "cpu"}
    assert len(seen) == 2


def test_a_service_that_stays_away_is_told_with_a_remedy() -> None:
    answer, seen = in_turn(*(httpx.ConnectError("refused") for _ in range(4)))
    with pytest.raises(UnreachableError, match="crossfix serve"):
        client(answer).bundle()
    assert len(seen) == 4


def test_waiting_ends_when_it_shall_stop() -> None:
    stopping = threading.Event()
    answer, _ = in_turn(problem(503, "x", "later", **{"Retry-After": "60"}))
    threading.Timer(0.2, stopping.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        client(answer, stopping=stopping).bundle()
    assert time.monotonic() - began < 5


def test_require_alive() -> None:
    client(in_turn(httpx.Response(200, json={"status": "alive"}))[0]).require_alive()
    with pytest.raises(UnreachableError, match="not a Crossfix service"):
        client(in_turn(httpx.Response(200, text="hello"))[0]).require_alive()
    answer, seen = in_turn(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="crossfix serve"):
        client(answer).require_alive()
    assert len(seen) == 1


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "http://", "http://[::1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UnreachableError, match="is not an address"):
        CrossfixClient(url)


def test_retry_after() -> None:
    assert retry_after_s(None, 0.5) == 0.5
    assert retry_after_s("7", 0.5) == 7.0
    assert retry_after_s("soon", 0.5) == 0.5
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_s(date, 0.5) <= 30
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", 0.5) == 0.0
