"""Concurrent requests never mix results."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.api_requests import enrol
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

CHIPS, CLIENTS, VESSELS = 200, 32, 20


def match(client: httpx.Client, data: bytes) -> tuple[str, list[tuple[str, float]]]:
    answer = client.post("/match", files={"chip": data}, data={"store": "false", "top_k": "5"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["query"]["sha256"], [
        (c["vessel"]["id"], c["similarity"]) for c in body["candidates"]
    ]


@pytest.fixture
def uncached(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service without a cache of embeddings."""
    with running_service(tmp_path, settings={"CROSSFIX_CACHE_ENTRIES": "0"}) as process:
        yield process


def test_200_chips_from_32_clients_get_the_same_answers_as_in_sequence(
    uncached: ServiceProcess,
) -> None:
    service = uncached
    chips = [sar_tiff(1000 + i, height=60 + i % 90, width=16 + i % 20) for i in range(CHIPS - 40)]
    chips += [optical_png(2000 + i, height=60 + i % 90, width=16 + i % 20) for i in range(40)]
    with service.client() as client:
        for i in range(VESSELS):
            assert enrol(client, 5000 + i, name=f"CROWD {i}").status_code in (200, 201)
        serial = [match(client, data) for data in chips]
    assert len({sha for sha, _ in serial}) == CHIPS
    clients = [service.client(120) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        concurrent = list(
            pool.map(lambda job: match(clients[job[0] % CLIENTS], job[1]), enumerate(chips))
        )
    for client in clients:
        client.close()
    for (serial_sha, expected), (sha, found) in zip(serial, concurrent, strict=True):
        assert sha == serial_sha
        assert dict(found) == pytest.approx(dict(expected), abs=1e-4)
