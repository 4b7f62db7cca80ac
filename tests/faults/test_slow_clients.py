"""Clients that send slowly, stop half way or read nothing are closed and delay no other client."""

import json
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from tests.support.faults.bad_uploads import media_type, multipart
from tests.support.faults.outages import wait_until
from tests.support.faults.scale import Scale
from tests.support.inputs.chip_files import tiff_bytes
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess

HEADER_TIMEOUT_S, UPLOAD_TIMEOUT_S, REQUEST_TIMEOUT_S = 1.5, 2.0, 4.0
SLACK_S = 15.0
DRIP_S = 0.2
MAX_READERS = 8
CHIP = "chip"
LARGE_PX = (1500, 1500)
BODY = multipart([("store", None, b"false"), (CHIP, "a.tif", sar_tiff(1))])
HEAD = (
    "POST /match HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"Content-Type: {media_type('sea-and-sky')}\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    return {
        "CROSSFIX_HEADER_TIMEOUT_S": str(HEADER_TIMEOUT_S),
        "CROSSFIX_UPLOAD_TIMEOUT_S": str(UPLOAD_TIMEOUT_S),
        "CROSSFIX_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
        "CROSSFIX_CACHE_ENTRIES": "0",
    }


def open_sockets(service: ServiceProcess) -> int:
    """Return the number of sockets that the service holds open."""
    count = 0
    for one in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            count += one.readlink().name.startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def connect(service: ServiceProcess, receive_bytes: int | None = None) -> socket.socket:
    place = urlsplit(service.url)
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(REQUEST_TIMEOUT_S + UPLOAD_TIMEOUT_S + SLACK_S)
    connection.connect((place.hostname, place.port))
    return connection


@contextmanager
def dripping(connections: list[socket.socket], data: bytes) -> Iterator[None]:
    """Send `data` on each connection, a byte at a time, during the block."""
    stopped = Event()

    def drip() -> None:
        for place in range(len(data)):
            if stopped.wait(DRIP_S):
                return
            for connection in connections:
                try:
                    connection.send(data[place : place + 1])
                except OSError:
                    continue

    sender = Thread(target=drip)
    sender.start()
    try:
        yield
    finally:
        stopped.set()
        sender.join()


def read_to_end(connection: socket.socket) -> bytes:
    """Return what arrives until the service closes the connection; fail if it does not."""
    answer = b""
    try:
        while block := connection.recv(65_536):
            answer += block
    except ConnectionResetError:
        pass
    return answer


def seconds_of_a_match(api: httpx.Client) -> float:
    began = time.monotonic()
    answer = api.post("/match", files={"chip": sar_tiff(7)}, data={"store": "false"})
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def usual_seconds(api: httpx.Client, count: int = 7) -> float:
    return statistics.median(seconds_of_a_match(api) for _ in range(count))


def assert_not_delayed(api: httpx.Client, usual_s: float) -> None:
    assert usual_seconds(api) < 3 * usual_s + 0.25
    assert api.get("/readyz").status_code == 200


def head_dripped(_: list[socket.socket]) -> bytes:
    return HEAD


def head_stopped(connections: list[socket.socket]) -> bytes:
    for connection in connections:
        connection.sendall(HEAD[:40])
    return b""


def nothing_sent(_: list[socket.socket]) -> bytes:
    return b""


def body_dripped(connections: list[socket.socket]) -> bytes:
    for connection in connections:
        connection.sendall(HEAD)
    return BODY


def body_stopped(connections: list[socket.socket]) -> bytes:
    for connection in connections:
        connection.sendall(HEAD + BODY[: len(BODY) // 2])
    return b""


Begin = Callable[[list[socket.socket]], bytes]
"""Sends the beginning of a request on all connections; returns what is then sent slowly."""

HEADS: list[Begin] = [nothing_sent, head_dripped, head_stopped]
BODIES: list[Begin] = [body_dripped, body_stopped]


@pytest.mark.parametrize("begin", HEADS + BODIES, ids=lambda begin: begin.__name__)
def test_slow_senders_are_closed_in_time_and_delay_no_other_client(
    service: ServiceProcess, api: httpx.Client, scale: Scale, begin: Begin
) -> None:
    usual_s = usual_seconds(api)
    before = open_sockets(service)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(service)) for _ in range(scale.slow_clients)]
        began = time.monotonic()
        with dripping(connections, begin(connections)):
            assert_not_delayed(api, usual_s)
            answers = [read_to_end(connection) for connection in connections]
        limit_s = HEADER_TIMEOUT_S if begin in HEADS else UPLOAD_TIMEOUT_S
        lasted = time.monotonic() - began
        assert limit_s * 0.9 < lasted < limit_s + SLACK_S
        statuses = {answer[9:12] for answer in answers}
        assert statuses == ({b""} if begin in HEADS else {b"408"})
    wait_until(lambda: open_sockets(service) <= before, SLACK_S, "closing the connections")
    assert_not_delayed(api, usual_s)


def test_interrupted_uploads_leave_nothing_behind(
    service: ServiceProcess, api: httpx.Client, scale: Scale
) -> None:
    usual_s = usual_seconds(api)
    before, listed = open_sockets(service), api.get("/gallery").json()
    vessel = ("vessel", None, json.dumps({"name": "NEVER REGISTERED"}).encode())
    body = multipart([vessel, ("chips", "a.tif", sar_tiff(2))])
    head = HEAD.replace(b"/match", b"/gallery").replace(str(len(BODY)).encode(), b"%d" % len(body))
    for number in range(scale.slow_clients):
        with connect(service) as connection:
            connection.sendall(head + body[: len(body) * number // scale.slow_clients])
    assert_not_delayed(api, usual_s)
    wait_until(lambda: open_sockets(service) <= before, SLACK_S, "closing the connections")
    assert api.get("/gallery").json() == listed
    assert "unexpected error" not in service.log.read_text()


@pytest.fixture(scope="module")
def large(service: ServiceProcess) -> str:
    """The path of a chip of several megabytes, more than sockets buffer."""
    speckle = np.random.default_rng(0).exponential(size=LARGE_PX).astype(np.float32)
    with service.client() as client:
        answer = client.post(
            "/match", files={"chip": tiff_bytes(speckle)}, data={"framing": "as_is"}
        )
    assert answer.status_code == 200, answer.text
    return f"/sightings/{answer.json()['query']['sighting_id']}/chip"


def test_clients_that_do_not_read_are_closed_in_time_and_delay_no_other_client(
    service: ServiceProcess, api: httpx.Client, scale: Scale, large: str
) -> None:
    usual_s = usual_seconds(api)
    before, whole = open_sockets(service), len(api.get(large).content)
    with ExitStack() as stack:
        readers = min(MAX_READERS, scale.slow_clients)
        connections = [stack.enter_context(connect(service, 4096)) for _ in range(readers)]
        began = time.monotonic()
        for connection in connections:
            connection.sendall(f"GET {large} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert_not_delayed(api, usual_s)
        wait_until(
            lambda: open_sockets(service) <= before,
            2 * REQUEST_TIMEOUT_S + SLACK_S,
            "closing the connections",
        )
        assert time.monotonic() - began > REQUEST_TIMEOUT_S * 0.9
        for connection in connections:
            assert len(read_to_end(connection)) < whole
    assert "the answer was not read in time" in service.log.read_text()
    assert_not_delayed(api, usual_s)
