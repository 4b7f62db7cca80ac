"""Clients that send by the byte, stop half way or read nothing hold up nobody and are closed."""

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

from tests.support.chip_files import tiff_bytes
from tests.support.chips import sar_tiff
from tests.support.faults.bad_uploads import media_type, multipart
from tests.support.faults.outages import wait_until
from tests.support.faults.scale import Scale
from tests.support.service_process import ServiceProcess

HEADER_TIMEOUT_S, UPLOAD_TIMEOUT_S, REQUEST_TIMEOUT_S = 1.5, 2.0, 4.0
SLACK_S = 15.0
DRIP_S = 0.2
MOST_READERS = 8
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


def connections(service: ServiceProcess) -> int:
    """Sockets that the service holds open."""
    count = 0
    for one in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            count += one.readlink().name.startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def dial(service: ServiceProcess, receive_bytes: int | None = None) -> socket.socket:
    place = urlsplit(service.url)
    line = socket.socket()
    if receive_bytes is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(REQUEST_TIMEOUT_S + UPLOAD_TIMEOUT_S + SLACK_S)
    line.connect((place.hostname, place.port))
    return line


@contextmanager
def dripping(lines: list[socket.socket], data: bytes) -> Iterator[None]:
    """Meanwhile each line is sent a byte at a time."""
    over = Event()

    def drip() -> None:
        for place in range(len(data)):
            if over.wait(DRIP_S):
                return
            for line in lines:
                try:
                    line.send(data[place : place + 1])
                except OSError:
                    continue

    sender = Thread(target=drip)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def told_at_the_end(line: socket.socket) -> bytes:
    """All that comes until the other side closes; fails when it does not."""
    answer = b""
    try:
        while piece := line.recv(65_536):
            answer += piece
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


def others_are_not_held_up(api: httpx.Client, usual_s: float) -> None:
    assert usual_seconds(api) < 3 * usual_s + 0.25
    assert api.get("/readyz").status_code == 200


def head_dripped(lines: list[socket.socket]) -> bytes:
    return HEAD


def head_stopped(lines: list[socket.socket]) -> bytes:
    for line in lines:
        line.sendall(HEAD[:40])
    return b""


def nothing_sent(lines: list[socket.socket]) -> bytes:
    return b""


def body_dripped(lines: list[socket.socket]) -> bytes:
    for line in lines:
        line.sendall(HEAD)
    return BODY


def body_stopped(lines: list[socket.socket]) -> bytes:
    for line in lines:
        line.sendall(HEAD + BODY[: len(BODY) // 2])
    return b""


HEADS = [nothing_sent, head_dripped, head_stopped]
BODIES = [body_dripped, body_stopped]


@pytest.mark.parametrize("begin", HEADS + BODIES, ids=lambda begin: begin.__name__)
def test_slow_senders_are_closed_in_time_and_hold_up_nobody(
    service: ServiceProcess,
    api: httpx.Client,
    scale: Scale,
    begin: Callable[[list[socket.socket]], bytes],
) -> None:
    usual_s = usual_seconds(api)
    before = connections(service)
    with ExitStack() as stack:
        lines = [stack.enter_context(dial(service)) for _ in range(scale.slow_clients)]
        began = time.monotonic()
        with dripping(lines, begin(lines)):
            others_are_not_held_up(api, usual_s)
            answers = [told_at_the_end(line) for line in lines]
        limit_s = HEADER_TIMEOUT_S if begin in HEADS else UPLOAD_TIMEOUT_S
        lasted = time.monotonic() - began
        assert limit_s * 0.9 < lasted < limit_s + SLACK_S
        statuses = {answer[9:12] for answer in answers}
        assert statuses == ({b""} if begin in HEADS else {b"408"})
    wait_until(lambda: connections(service) <= before, SLACK_S, "closing the connections")
    others_are_not_held_up(api, usual_s)


def test_uploads_that_are_cut_off_leave_nothing_behind(
    service: ServiceProcess, api: httpx.Client, scale: Scale
) -> None:
    usual_s = usual_seconds(api)
    before, listed = connections(service), api.get("/gallery").json()
    said = ("vessel", None, json.dumps({"name": "NEVER REGISTERED"}).encode())
    body = multipart([said, ("chips", "a.tif", sar_tiff(2))])
    head = HEAD.replace(b"/match", b"/gallery").replace(str(len(BODY)).encode(), b"%d" % len(body))
    for number in range(scale.slow_clients):
        with dial(service) as line:
            line.sendall(head + body[: len(body) * number // scale.slow_clients])
    others_are_not_held_up(api, usual_s)
    wait_until(lambda: connections(service) <= before, SLACK_S, "closing the connections")
    assert api.get("/gallery").json() == listed
    assert "unexpected error" not in service.log.read_text()


@pytest.fixture(scope="module")
def large(service: ServiceProcess) -> str:
    """Where a chip of several megabytes is to be had, more than sockets buffer."""
    speckle = np.random.default_rng(0).exponential(size=LARGE_PX).astype(np.float32)
    with service.client() as client:
        answer = client.post("/match", files={"chip": tiff_bytes(speckle)})
    assert answer.status_code == 200, answer.text
    return f"/sightings/{answer.json()['query']['sighting_id']}/chip"


def test_readers_who_read_nothing_are_closed_in_time_and_hold_up_nobody(
    service: ServiceProcess, api: httpx.Client, scale: Scale, large: str
) -> None:
    usual_s = usual_seconds(api)
    before, whole = connections(service), len(api.get(large).content)
    with ExitStack() as stack:
        readers = min(MOST_READERS, scale.slow_clients)
        lines = [stack.enter_context(dial(service, 4096)) for _ in range(readers)]
        began = time.monotonic()
        for line in lines:
            line.sendall(f"GET {large} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        others_are_not_held_up(api, usual_s)
        wait_until(
            lambda: connections(service) <= before,
            2 * REQUEST_TIMEOUT_S + SLACK_S,
            "closing the connections",
        )
        assert time.monotonic() - began > REQUEST_TIMEOUT_S * 0.9
        for line in lines:
            assert len(told_at_the_end(line)) < whole
    assert "the answer was not read in time" in service.log.read_text()
    others_are_not_held_up(api, usual_s)
