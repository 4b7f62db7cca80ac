"""Measure the whole service over HTTP: latency of one client, throughput of many."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

REQUESTS, CLIENTS = 200, 16


@dataclass(frozen=True)
class HttpFigures:
    """Figures of `POST /match` against a started process; milliseconds and responses per second."""

    ready_after_s: float
    resident_mb: float
    p50_ms: float
    p95_ms: float
    alone_per_s: float
    together_per_s: float


def measure_http() -> HttpFigures:
    """Send requests one by one, then from many clients; no chip is in the cache."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        chips = [sar_tiff(number, 200, 40) for number in range(2 * REQUESTS + 10)]
        with service.client() as client:
            for data in chips[-10:]:
                _post_match(client, data)  # warms up
            durations = []
            for data in chips[:REQUESTS]:
                started = time.perf_counter()
                _post_match(client, data)
                durations.append(time.perf_counter() - started)
        together_s = _measure_clients(service, chips[REQUESTS : 2 * REQUESTS])
        return HttpFigures(
            ready_after_s=service.ready_after_s,
            resident_mb=service.resident_mb(),
            p50_ms=float(np.percentile(durations, 50)) * 1000,
            p95_ms=float(np.percentile(durations, 95)) * 1000,
            alone_per_s=REQUESTS / sum(durations),
            together_per_s=REQUESTS / together_s,
        )


def _measure_clients(service: ServiceProcess, chips: list[bytes]) -> float:
    """Send all chips from `CLIENTS` clients at once; return the seconds until the last response."""
    clients = [service.client() for _ in range(CLIENTS)]
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda job: _post_match(clients[job[0] % CLIENTS], job[1]), enumerate(chips)))
    duration = time.perf_counter() - started
    for client in clients:
        client.close()
    return duration


def _post_match(client: httpx.Client, data: bytes) -> None:
    response = client.post("/match", files={"chip": data}, data={"store": "false"})
    if response.status_code != 200:
        raise RuntimeError(response.text)
