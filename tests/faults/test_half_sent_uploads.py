"""Clients that send half of their upload and wait keep nobody else out."""

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess

IN_FLIGHT = 8
HALF_SENT = 5 * IN_FLIGHT
HEAD = (
    b"POST /match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
)


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    return {"CROSSFIX_MAX_CONCURRENT_REQUESTS": str(IN_FLIGHT)}


def test_half_sent_uploads_keep_nobody_out(service: ServiceProcess, api: httpx.Client) -> None:
    address = urlsplit(service.url)
    with ExitStack() as stack:
        for _ in range(HALF_SENT):
            connection = stack.enter_context(
                socket.create_connection((address.hostname, address.port), timeout=20)
            )
            connection.sendall(HEAD)
        for seed in range(3):
            answer = api.post("/match", files={"chip": sar_tiff(seed)}, data={"store": "false"})
            assert answer.status_code == 200, answer.text
        assert api.get("/gallery").status_code == 200
    log = service.log.read_text()
    assert "unexpected error" not in log
    assert "Traceback" not in log
