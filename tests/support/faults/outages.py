"""Wrong responses of a store, and the problem that the service reports for an outage."""

import time
from collections.abc import Callable

import httpx

from tests.support.doubles.proxy import Fault


def http_answer(status: str, body: bytes, media: str = "application/json") -> bytes:
    """Return the bytes of a response after which the connection is closed."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


def unavailable(response: httpx.Response) -> dict[str, object]:
    """Assert that a response is a 503 with Retry-After; return its problem document."""
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    body: dict[str, object] = response.json()
    assert body["type"] == "urn:crossfix:problem:store-unavailable", body
    assert body["detail"]
    return body


def wait_until(done: Callable[[], bool], limit_s: float, what: str, every_s: float = 0.05) -> float:
    """Wait until `done()` is true, checking it `every_s`; return the seconds that it took."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < limit_s, f"{what} took more than {limit_s} s"
        time.sleep(every_s)
    return time.monotonic() - began


WRONG_RESPONSES = [
    Fault(
        "error-500", answer=http_answer("500 Oops", b'{"status": {"error": "Service internal"}}')
    ),
    Fault("error-503", answer=http_answer("503 Busy", b"no healthy upstream", "text/plain")),
    Fault("error-429", answer=http_answer("429 Slow", b'{"status": {"error": "slow down"}}')),
    Fault("error-404", answer=http_answer("404 Lost", b"<h1>nginx</h1>", "text/html")),
    Fault("redirect", answer=http_answer("302 Found\r\nlocation: http://127.0.0.1:9/", b"")),
    Fault("web-page", answer=http_answer("200 OK", b"<h1>Welcome to the hotel</h1>", "text/html")),
    Fault("empty-body", answer=http_answer("200 OK", b"")),
    Fault("empty-json", answer=http_answer("200 OK", b"{}")),
    Fault("null-result", answer=http_answer("200 OK", b'{"result": null, "status": "ok"}')),
    Fault("other-json", answer=http_answer("200 OK", b'{"result": [1, "two", {"three": 4}]}')),
    Fault("half-json", answer=http_answer("200 OK", b'{"result": {"count": ')),
    Fault("not-utf-8", answer=http_answer("200 OK", b'{"result": "\xff\xfe\xc3("}')),
    Fault("not-http", answer=b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    Fault("nothing", answer=b""),
]
"""Responses of another program, a broken proxy or a failing server to a request over HTTP."""
