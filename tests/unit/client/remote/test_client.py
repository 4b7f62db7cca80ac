import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.client.errors import RefusedError, SourceError, StoppedError, UnreachableError
from service.client.remote import calls
from service.client.remote.call import ChipPart
from service.client.remote.client import Client
from service.client.remote.retrying import retry_after_s
from tests.support.answers import body, vessel_body
from tests.support.fakes.service import multipart, problem
from tests.support.transports import BUNDLE, Handler, detail_body, record_body, respond

CHIP = ChipPart("0001_s1c1_SAR.tif", b"\x00bytes", {"modality": "sar", "gsd_m": 1.0})
MATCH_ID = str(UUID(int=1))


def client(handler: Handler, **options: object) -> Client:
    return Client(transport=httpx.MockTransport(handler), **options)  # type: ignore[arg-type]


def fields(request: httpx.Request) -> dict[str, bytes]:
    return {name: content for name, file, content in multipart(request) if file is None}


def test_match_sends_the_chip_and_its_fields() -> None:
    handler, requests = respond(httpx.Response(200, json=body("ambiguous", "a")))
    when = datetime(2026, 3, 5, 17, 20, tzinfo=UTC)
    answer = client(handler).match(CHIP, top_k=3, store=False, captured_at=when, gsd_m=2.0)
    assert (answer.verdict, answer.candidates[0].vessel.label) == ("ambiguous", "SHIP a")
    assert (requests[0].method, requests[0].url.path) == ("POST", "/match")
    assert ("chip", CHIP.name, CHIP.data) in multipart(requests[0])
    assert fields(requests[0]) == {
        "top_k": b"3",
        "store": b"false",
        "modality": b"sar",
        "gsd_m": b"2.0",
        "captured_at": b"2026-03-05T17:20:00+00:00",
    }


def test_a_chip_may_be_a_path(tmp_path: Path) -> None:
    handler, requests = respond(httpx.Response(200, json=body("no_match")))
    (tmp_path / "a.tif").write_bytes(b"chip")
    client(handler).match(tmp_path / "a.tif")
    assert multipart(requests[0]) == [("chip", "a.tif", b"chip")]
    with pytest.raises(SourceError, match=r"b\.tif cannot be read: No such file"):
        client(handler).match(str(tmp_path / "b.tif"))


def test_a_chip_that_is_neither_a_path_nor_a_part_is_explained() -> None:
    handler, requests = respond()
    with pytest.raises(TypeError, match=r"the path of a file or ChipPart\(name, data\), not bytes"):
        client(handler).match(CHIP.data)  # type: ignore[arg-type]
    assert not requests


def test_fields_that_a_newer_service_sends_are_kept() -> None:
    document = body("ambiguous", "a", later={"id": 7})
    handler, _ = respond(httpx.Response(200, json=document))
    answer = client(handler).match(CHIP)
    assert answer.document()["later"] == {"id": 7}
    assert (
        answer.document()["candidates"][0]["vessel"] | document["candidates"][0]["vessel"]
        == (answer.document()["candidates"][0]["vessel"])
    )


def test_an_answer_of_another_version_is_reported() -> None:
    for answer in (
        httpx.Response(200, json=body("certain", "a")),
        httpx.Response(200, text="<html>"),
    ):
        handler, _ = respond(answer)
        with pytest.raises(UnreachableError, match="another version"):
            client(handler).match(CHIP)


@pytest.mark.parametrize(("status", "created"), [(201, True), (200, False)])
def test_enrol_reports_whether_the_vessel_is_new(status: int, created: bool) -> None:
    handler, requests = respond(httpx.Response(status, json=detail_body("a")))
    assert client(handler).enrol({"name": "ALPHA"}, [CHIP, CHIP]).created is created
    assert json.loads(fields(requests[0])["vessel"]) == {"name": "ALPHA"}
    assert json.loads(fields(requests[0])["chip_metadata"]) == [CHIP.metadata, CHIP.metadata]


def test_lists_are_read_page_by_page() -> None:
    handler, requests = respond(
        httpx.Response(
            200, json={"vessels": [vessel_body("a"), vessel_body("b")], "next_cursor": "xyz"}
        ),
        httpx.Response(200, json={"vessels": [vessel_body("c")], "next_cursor": None}),
    )
    found = client(handler).vessels(name="SHIP", page_length=2)
    assert not requests
    assert [one.label for one in found] == ["SHIP a", "SHIP b", "SHIP c"]
    assert dict(requests[0].url.params) == {"name": "SHIP", "limit": "2"}
    assert dict(requests[1].url.params) == {"name": "SHIP", "limit": "2", "cursor": "xyz"}


def test_a_repeated_judgement_carries_the_same_idempotency_key() -> None:
    in_progress = problem(409, "idempotency-in-progress", "wait", **{"Retry-After": "0"})
    done = httpx.Response(200, json=record_body())
    handler, requests = respond(httpx.ReadError("reset"), in_progress, done)
    judged = client(handler).judge(MATCH_ID, "confirmed", vessel_id=UUID(int=3), note="cranes")
    assert judged.standing == "open"
    keys = {request.headers["idempotency-key"] for request in requests}
    assert (len(requests), len(keys)) == (3, 1)
    assert json.loads(requests[2].content) == {
        "decision": "confirmed",
        "vessel_id": str(UUID(int=3)),
        "note": "cranes",
    }
    other, more = respond(httpx.Response(200, json=record_body()))
    client(other).judge(MATCH_ID, "rejected")
    assert more[0].headers["idempotency-key"] not in keys


def test_changes_send_ids_and_attributes() -> None:
    handler, requests = respond(*(httpx.Response(200, json=detail_body("a")) for _ in range(2)))
    crossfix = client(handler)
    crossfix.merge(UUID(int=1), UUID(int=2))
    crossfix.split(UUID(int=1), [UUID(int=5)], {"name": "B"})
    assert json.loads(requests[0].content) == {"other": str(UUID(int=2))}
    assert json.loads(requests[1].content) == {
        "sightings": [str(UUID(int=5))],
        "vessel": {"name": "B"},
    }
    gone, _ = respond(httpx.Response(204))
    client(gone).delete_vessel(UUID(int=1))


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_service_is_called_again_after_retry_after(status: int) -> None:
    later = problem(status, "overloaded", "later", **{"Retry-After": "1"})
    handler, requests = respond(later, httpx.Response(200, json=BUNDLE))
    began = time.monotonic()
    assert client(handler).bundle().device == "cpu"
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
    with pytest.raises(RefusedError, match="too small"):
        client(handler).match(CHIP)
    assert len(requests) == 1


def test_an_error_without_a_problem_document_is_reported_by_its_status() -> None:
    handler, _ = respond(httpx.Response(500, text="<html>"))
    with pytest.raises(RefusedError, match="answered 500") as refused:
        client(handler).bundle()
    assert refused.value.kind == "http-500"


def test_a_request_whose_connection_broke_is_repeated() -> None:
    lost = httpx.ReadError("connection reset")
    handler, requests = respond(lost, httpx.Response(200, json=BUNDLE))
    assert client(handler).bundle().device == "cpu"
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


def test_only_a_crossfix_service_is_ready() -> None:
    answers = {
        True: httpx.Response(200, json={"ready": True, "parts": {}}),
        False: httpx.Response(503, json={"ready": False, "parts": {"gallery": "away"}}),
    }
    assert [client(respond(answer)[0]).is_ready() for answer in answers.values()] == [True, False]
    for other in (httpx.Response(200, text="<html>"), httpx.Response(200, json=[])):
        assert not client(respond(other)[0]).is_ready()


def test_a_response_that_cannot_be_unpacked_is_reported() -> None:
    handler, requests = respond(*(httpx.DecodingError("incorrect header") for _ in range(4)))
    with pytest.raises(UnreachableError, match="no answer"):
        client(handler).bundle()
    assert len(requests) == 4


@pytest.mark.parametrize("key", ["", "cf_a b", "cf_a\n", "cf_\u00e9", "cf_\0"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(SourceError, match="API key"):
        Client(api_key=key)


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://host", "http://", "http://[::1", f"http://{64 * 'a'}.net"]
)
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(UnreachableError, match="is not an address"):
        Client(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:se%20cret@127.0.0.1:9",
        "http://ann:se/cret@127.0.0.1:9",
        "http://ann:secret\n@host",
        "ann:secret@host",
        "ftp://ann:se@cret@host",
    ],
)
def test_no_message_quotes_a_password(url: str) -> None:
    with pytest.raises(UnreachableError) as error:
        Client(url).require_alive()
    assert not {"ann", "se", "cret", "secret"} & set(re.findall(r"\w+", str(error.value)))


def test_a_password_of_the_address_is_sent() -> None:
    handler, requests = respond(httpx.Response(200, json=BUNDLE))
    crossfix = client(handler, url="http://ann:secret@host")
    crossfix.bundle()
    assert requests[0].headers["authorization"] == "Basic YW5uOnNlY3JldA=="
    assert crossfix.url == "http://***@host"


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after_s(None, 0.5) == 0.5
    assert retry_after_s("7", 0.5) == 7.0
    assert retry_after_s("soon", 0.5) == 0.5
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_s(date, 0.5) <= 30
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT", 0.5) == 0.0
    assert retry_after_s("Fri, 31 Dec 9999 23:59:59 -1200", 0.5) == 0.5


def test_many_chips_are_matched_in_their_order_and_refused_ones_are_named(tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        [(_, name, _)] = [part for part in multipart(request) if part[1]]
        time.sleep(0.05 if name == "0" else 0)
        if name == "2":
            return problem(422, "chip-size", "too small")
        return httpx.Response(200, json=body("ambiguous", str(name)))

    advances: list[int] = []
    chips: list[ChipPart | Path] = [ChipPart(str(number), b"x") for number in range(4)]
    found = list(
        client(handler).match_many([*chips, tmp_path / "none"], workers=3, advance=advances.append)
    )
    names = [one.match and one.match.candidates[0].vessel.label for one in found]
    assert names == ["SHIP 0", "SHIP 1", None, "SHIP 3", None]
    problems = [str(one.problem) for one in found if one.problem]
    assert problems == [
        "too small",
        f"{tmp_path / 'none'} cannot be read: No such file or directory",
    ]
    assert advances == [1] * 5


def test_a_batch_ends_when_the_service_is_gone() -> None:
    handler, requests = respond(*(httpx.ConnectError("refused") for _ in range(40)))
    batch = client(handler).match_many([CHIP] * 100, workers=1)
    with pytest.raises(UnreachableError):
        list(batch)
    assert len(requests) <= 12


def csv_response() -> httpx.Response:
    media = "text/csv; charset=utf-8; header=present"
    return httpx.Response(200, content=b"id\r\n1\r\n", headers={"Content-Type": media})


def test_a_page_in_place_of_an_export_is_reported(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    handler, _ = respond(*(httpx.Response(200, html="<p>sign in") for _ in range(2)))
    with pytest.raises(UnreachableError, match="is text/html; charset=utf-8, not text/csv"):
        client(handler).save(calls.export_vessels(), out)
    with pytest.raises(UnreachableError, match="is text/html; charset=utf-8, not text/csv"):
        client(handler).export_vessels()
    assert not out.exists()


def test_an_export_is_streamed_into_a_file(tmp_path: Path) -> None:
    later = problem(429, "overloaded", "later", **{"Retry-After": "0"})
    handler, requests = respond(later, csv_response())
    out = tmp_path / "new" / "x.csv"
    assert client(handler).save(calls.export_matches(standing="open"), out) == 7
    assert out.read_bytes() == b"id\r\n1\r\n"
    assert requests[1].headers["accept"] == "text/csv"
    assert dict(requests[1].url.params) == {"standing": "open"}
    refusing, _ = respond(problem(422, "invalid-field", "no such field"))
    with pytest.raises(RefusedError, match="no such field"):
        client(refusing).save(calls.export_matches(), tmp_path / "y.csv")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "x.csv"]
