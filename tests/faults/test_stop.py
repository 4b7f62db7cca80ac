"""SIGTERM: what was accepted is finished, nobody new is let in, and the end comes in time."""

import os
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.server.run import CLOSING_S
from tests.support.faults.crowd import Crowd, Order
from tests.support.faults.forked import Forked, start_service
from tests.support.faults.inspection import (
    assert_accounted_for,
    assert_nothing_half_there,
    gallery_on_disk,
    kept_chips,
)
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import OPTICAL, cut_chip

GRACE_S = 2
LEEWAY_S = 20.0
"""What a crowded machine may take for what it does in a moment otherwise."""
MANY_CHIPS = 60


@pytest.mark.timeout(600)
def test_what_was_accepted_is_finished(scale: Scale, tmp_path: Path) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(7)
    orders: list[Order] = []
    for number in range(scale.stops):
        service = start_service(data, log)
        with Crowd(service.url, seed=1000 + number) as crowd:
            wait_for_answers(crowd)
            time.sleep(dice.uniform(0.0, 0.5))
            service.stop()
            assert_turned_away(service)
        assert crowd.refusals == []
        orders += crowd.orders
    answered = [one for one in orders if one.acknowledged]
    assert len(answered) > scale.stops
    assert_nothing_half_there(data)
    vessels = {one.vessel_id for one in answered if one.path != "/match"}
    assert_accounted_for(data, vessels, set())
    assert {str(vessel.id) for vessel in gallery_on_disk(data)[0]} == vessels
    told = {digest for one in answered for digest in one.chips}
    assert kept_chips(data) == told, "what was done was told, and what was not told was not done"


def wait_for_answers(crowd: Crowd) -> None:
    deadline = time.monotonic() + 60
    while len(crowd.acknowledged()) < crowd.clients:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_turned_away(service: Forked) -> None:
    with service.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/livez")


@pytest.mark.timeout(300)
def test_an_upload_that_never_ends_and_a_second_signal_do_not_hold_it_up(tmp_path: Path) -> None:
    settings = {"CROSSFIX_STOP_GRACE_S": str(GRACE_S)}
    service = start_service(tmp_path / "data", tmp_path / "service.log", settings)
    with half_an_upload(service) as line:
        os.kill(service.pid, signal.SIGTERM)
        began = time.monotonic()
        time.sleep(GRACE_S / 4)
        service.stop(GRACE_S + CLOSING_S + LEEWAY_S)
        assert time.monotonic() - began >= GRACE_S / 2, "the upload had its time"
        assert line.recv(1000)[:12] in (b"", b"HTTP/1.1 500", b"HTTP/1.1 503")
    assert_nothing_half_there_after_a_start(tmp_path)


@pytest.mark.timeout(300)
def test_work_that_takes_longer_than_the_grace_is_cut_off_whole(tmp_path: Path) -> None:
    """A request of many translations: it is there with all chips, or not at all."""
    settings = {"CROSSFIX_STOP_GRACE_S": "1"}
    service = start_service(tmp_path / "data", tmp_path / "service.log", settings)
    dice = random.Random(11)
    chips = {str(i): cut_chip(dice, OPTICAL) for i in range(MANY_CHIPS)}
    order = Order("/gallery", chips, "LONG WORK", "key")
    with ThreadPoolExecutor(1) as sender, service.client() as client:
        sending = sender.submit(order.send, client)
        time.sleep(0.3)
        os.kill(service.pid, signal.SIGTERM)
        began = time.monotonic()
        service.process.join(1 + CLOSING_S + LEEWAY_S)
        assert not service.process.is_alive(), time.monotonic() - began
        error = sending.exception()
        assert error is None or isinstance(error, httpx.TransportError), error
    again = assert_nothing_half_there_after_a_start(tmp_path)
    assert again in (0, MANY_CHIPS)
    assert again == MANY_CHIPS or not order.acknowledged


def half_an_upload(service: Forked) -> socket.socket:
    """A connection that has sent the beginning of an enrolment."""
    url = httpx.URL(service.url)
    line = socket.create_connection((url.host, url.port), timeout=60)
    head = b"POST /gallery HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    media = b"Content-Type: multipart/form-data; boundary=b\r\n"
    line.sendall(head + media + b"Expect: 100-continue\r\n\r\n")
    assert line.recv(1000).startswith(b"HTTP/1.1 100 "), "it is being read"
    line.sendall(b"--b\r\n")
    return line


def assert_nothing_half_there_after_a_start(folder: Path) -> int:
    """Start and stop once more, so that what was cut off is settled; returns the chips kept."""
    start_service(folder / "data", folder / "service.log").stop()
    assert_nothing_half_there(folder / "data")
    return len(kept_chips(folder / "data"))
