"""SIGTERM: accepted requests are completed, new ones refused, and the process ends in time."""

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
from tests.support.faults.concurrent_clients import ClientRequest, ConcurrentClients
from tests.support.faults.forked_service import ForkedService, start_service
from tests.support.faults.inspection import (
    assert_audited,
    assert_consistent_on_disk,
    gallery_on_disk,
    stored_chips,
)
from tests.support.faults.scale import Scale
from tests.support.faults.ship_chips import OPTICAL, cut_chip

GRACE_S = 2
LEEWAY_S = 20.0
"""Allowance for a busy machine."""
MANY_CHIPS = 60


@pytest.mark.timeout(600)
def test_accepted_requests_are_completed(scale: Scale, tmp_path: Path) -> None:
    data, log, dice = tmp_path / "data", tmp_path / "service.log", random.Random(7)
    requests: list[ClientRequest] = []
    for number in range(scale.stops):
        service = start_service(data, log)
        with ConcurrentClients(service.url, seed=1000 + number) as clients:
            wait_for_answers(clients)
            time.sleep(dice.uniform(0.0, 0.5))
            service.stop()
            assert_refuses_connections(service)
        assert clients.refusals == []
        requests += clients.requests
    answered = [one for one in requests if one.acknowledged]
    assert len(answered) > scale.stops
    assert_consistent_on_disk(data)
    vessels = {one.vessel_id for one in answered if one.path != "/match"}
    assert_audited(data, vessels, set())
    assert {str(vessel.id) for vessel in gallery_on_disk(data)[0]} == vessels
    acknowledged = {digest for one in answered for digest in one.chips}
    assert stored_chips(data) == acknowledged, "exactly the acknowledged chips are stored"


def wait_for_answers(clients: ConcurrentClients) -> None:
    deadline = time.monotonic() + 60
    while len(clients.acknowledged()) < clients.count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_refuses_connections(service: ForkedService) -> None:
    with service.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/livez")


@pytest.mark.timeout(300)
def test_an_endless_upload_and_a_second_signal_do_not_delay_the_end(tmp_path: Path) -> None:
    settings = {"CROSSFIX_STOP_GRACE_S": str(GRACE_S)}
    service = start_service(tmp_path / "data", tmp_path / "service.log", settings)
    with half_an_upload(service) as connection:
        os.kill(service.pid, signal.SIGTERM)
        began = time.monotonic()
        time.sleep(GRACE_S / 4)
        service.stop(GRACE_S + CLOSING_S + LEEWAY_S)
        assert time.monotonic() - began >= GRACE_S / 2, "the upload got its grace period"
        assert connection.recv(1000)[:12] in (b"", b"HTTP/1.1 500", b"HTTP/1.1 503")
    chips_after_a_restart(tmp_path)


@pytest.mark.timeout(300)
def test_work_longer_than_the_grace_period_is_stored_completely_or_not_at_all(
    tmp_path: Path,
) -> None:
    """Enrol optical chips, whose translation takes long."""
    settings = {"CROSSFIX_STOP_GRACE_S": "1"}
    service = start_service(tmp_path / "data", tmp_path / "service.log", settings)
    dice = random.Random(11)
    chips = {str(i): cut_chip(dice, OPTICAL) for i in range(MANY_CHIPS)}
    request = ClientRequest("/gallery", chips, "LONG WORK", "key")
    with ThreadPoolExecutor(1) as sender, service.client() as client:
        sending = sender.submit(request.send, client)
        time.sleep(0.3)
        os.kill(service.pid, signal.SIGTERM)
        began = time.monotonic()
        service.process.join(1 + CLOSING_S + LEEWAY_S)
        assert not service.process.is_alive(), time.monotonic() - began
        error = sending.exception()
        assert error is None or isinstance(error, httpx.TransportError), error
    again = chips_after_a_restart(tmp_path)
    assert again in (0, MANY_CHIPS)
    assert again == MANY_CHIPS or not request.acknowledged


def half_an_upload(service: ForkedService) -> socket.socket:
    """Return a connection that has sent the beginning of an enrolment."""
    url = httpx.URL(service.url)
    connection = socket.create_connection((url.host, url.port), timeout=60)
    head = b"POST /gallery HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    media = b"Content-Type: multipart/form-data; boundary=b\r\n"
    connection.sendall(head + media + b"Expect: 100-continue\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 "), "the service reads the body"
    connection.sendall(b"--b\r\n")
    return connection


def chips_after_a_restart(folder: Path) -> int:
    """Restart the service so that it recovers; return the number of stored chips."""
    start_service(folder / "data", folder / "service.log").stop()
    assert_consistent_on_disk(folder / "data")
    return len(stored_chips(folder / "data"))
