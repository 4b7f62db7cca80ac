"""The whole service over HTTP: latency of one client, throughput of many."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from tests.support.chips import sar_tiff
from tests.support.service_process import ServiceProcess, running_service

REQUESTS, CLIENTS = 200, 16


@dataclass(frozen=True)
class HttpFigures:
    """`POST /match` against a started process; milliseconds and answers per second."""

    ready_after_s: float
    resident_mb: float
    p50_ms: float
    p95_ms: float
    alone_per_s: float
    together_per_s: float


def measure_http() -> HttpFigures:
    """Serial requests, then the same from many clients; every chip is new to the cache."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        chips = [sar_tiff(number, 200, 40) for number in range(2 * REQUESTS + 10)]
        with service.client() as client:
            for data in chips[-10:]:
                _ask(client, data)
            taken = []
            for data in chips[:REQUESTS]:
                began = time.perf_counter()
                _ask(client, data)
                taken.append(time.perf_counter() - began)
        together_s = _together(service, chips[REQUESTS : 2 * REQUESTS])
        return HttpFigures(
            ready_after_s=service.ready_after_s,
            resident_mb=service.resident_mb(),
            p50_ms=float(np.percentile(taken, 50)) * 1000,
            p95_ms=float(np.percentile(taken, 95)) * 1000,
            alone_per_s=REQUESTS / sum(taken),
            together_per_s=REQUESTS / together_s,
        )


def _together(service: ServiceProcess, chips: list[bytes]) -> float:
    clients = [service.client() for _ in range(CLIENTS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda job: _ask(clients[job[0] % CLIENTS], job[1]), enumerate(chips)))
    taken = time.perf_counter() - began
    for client in clients:
        client.close()
    return taken


def _ask(client: httpx.Client, data: bytes) -> None:
    answer = client.post("/match", files={"chip": data}, data={"store": "false"})
    if answer.status_code != 200:
        raise RuntimeError(answer.text)
