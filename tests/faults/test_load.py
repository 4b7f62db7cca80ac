"""Twice the requests that the service can answer: it refuses with 429 and answers the rest quickly.

The clients use HTTP over plain sockets, see `raw_http`.
"""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest

from tests.support.faults.raw_http import raw_request, send_raw
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess

IN_FLIGHT_LIMIT = 64
MEASURING_CLIENTS = 8
MEASURED_S = 2.0
WARM_UP_S = 1.0
"""An overload that is not measured: the model takes its memory for the largest batches in it."""
OVERLOAD = 2.0
CHIPS = [sar_tiff(seed) for seed in range(64)]
MAX_LAG_S = 1.0
GROWTH_LIMIT_MB = 25.0
SLACK_S = 0.5
MAX_STAYS = 3.0


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    """No cache, and an in-flight limit above the number of threads."""
    return {"CROSSFIX_CACHE_ENTRIES": "0", "CROSSFIX_MAX_CONCURRENT_REQUESTS": str(IN_FLIGHT_LIMIT)}


@dataclass
class LoadClients:
    """Clients of one service and what they measured.

    Attributes:
        statuses: the number of responses by status.
        seconds: the latency of each accepted request.
        lag_s: the greatest delay of a request caused by the clients themselves.
        probe_seconds: the latency of each readiness probe.
        resident_mb: the memory of the service under load.
        without_retry_after: the number of 429 responses without Retry-After.
    """

    service: ServiceProcess
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    probe_seconds: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    lag_s: float = 0.0

    async def send(self, request: bytes) -> None:
        began = time.monotonic()
        status, retry_after_s = await send_raw(self.service, request)
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(time.monotonic() - began)
        elif status == 429:
            self.without_retry_after += retry_after_s < 1

    async def watch(self) -> None:
        """Measure memory and readiness until cancelled."""
        probe = raw_request(httpx.Request("GET", f"{self.service.url}/readyz"))
        while True:
            began = time.monotonic()
            status, _ = await send_raw(self.service, probe)
            assert status == 200
            self.probe_seconds.append(time.monotonic() - began)
            self.resident_mb.append(self.service.resident_mb())
            await asyncio.sleep(0.2)

    @property
    def accepted(self) -> int:
        return len(self.seconds)


def match_requests(service: ServiceProcess) -> list[bytes]:
    """Return `POST /match` with each of the chips."""
    url, fields = f"{service.url}/match", {"store": "false"}
    return [
        raw_request(httpx.Request("POST", url, files={"chip": chip}, data=fields)) for chip in CHIPS
    ]


async def capacity(service: ServiceProcess) -> float:
    """Return matches per second, requested by a few clients that wait for each response."""
    clients, requests = LoadClients(service), itertools.cycle(match_requests(service))
    until = time.monotonic() + MEASURED_S

    async def send_on() -> None:
        while time.monotonic() < until:
            await clients.send(next(requests))

    began = time.monotonic()
    await asyncio.gather(*(send_on() for _ in range(MEASURING_CLIENTS)))
    assert set(clients.statuses) == {200}
    return clients.accepted / (time.monotonic() - began)


async def overload(service: ServiceProcess, per_second: float, lasts_s: float) -> LoadClients:
    """Reach the in-flight limit at once, then send at this rate whatever the responses are."""
    clients, requests = LoadClients(service), itertools.cycle(match_requests(service))
    async with asyncio.TaskGroup() as tasks:
        watch = asyncio.create_task(clients.watch())
        for _ in range(IN_FLIGHT_LIMIT):
            tasks.create_task(clients.send(next(requests)))
        began, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < lasts_s:
            clients.lag_s = max(clients.lag_s, elapsed - sent / per_second)
            while sent < elapsed * per_second:
                tasks.create_task(clients.send(next(requests)))
                sent += 1
            await asyncio.sleep(0.005)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert watch.cancelled(), watch.exception()
    return clients


def seconds_alone(api: httpx.Client) -> float:
    """Return the median latency of a few matches in sequence."""
    took = []
    for number in range(5):
        began = time.monotonic()
        assert api.post("/match", files={"chip": CHIPS[number]}).status_code == 200
        took.append(time.monotonic() - began)
    return statistics.median(took)


def test_an_overload_is_refused_with_429_and_the_rest_is_answered_quickly(
    service: ServiceProcess, api: httpx.Client, scale: Scale
) -> None:
    alone_s = seconds_alone(api)
    capacity_per_s = asyncio.run(capacity(service))
    asyncio.run(overload(service, OVERLOAD * capacity_per_s, WARM_UP_S))
    began = time.monotonic()
    clients = asyncio.run(overload(service, OVERLOAD * capacity_per_s, scale.load_s))
    lasted = time.monotonic() - began
    goodput = clients.accepted / lasted
    p50, p99 = np.percentile(clients.seconds, (50, 99))
    # Little's law: mean time in the system = requests in flight / rate of responses.
    stay_s = IN_FLIGHT_LIMIT / goodput
    print(f"\ncapacity {capacity_per_s:.1f}/s; ", end="")
    print(f"sent {OVERLOAD * capacity_per_s:.1f}/s for {lasted:.1f} s: ", end="")
    print(f"{dict(clients.statuses)}, {goodput:.1f}/s answered, p50 {p50:.2f} s, p99 {p99:.2f} s ")
    print(f"(bound {MAX_STAYS * stay_s + SLACK_S:.2f} s); ", end="")
    print(f"ready within {max(clients.probe_seconds):.2f} s; ", end="")
    print(f"memory {clients.resident_mb[0]:.0f} to {clients.resident_mb[-1]:.0f} MB; ", end="")
    print(f"sent at most {clients.lag_s:.2f} s late")
    assert clients.lag_s < MAX_LAG_S, "the clients themselves could not keep up"
    assert set(clients.statuses) == {200, 429}
    assert clients.without_retry_after == 0
    assert goodput > capacity_per_s / 4
    assert p99 < MAX_STAYS * stay_s + SLACK_S
    assert statistics.median(clients.probe_seconds) < p50 + SLACK_S
    half = len(clients.resident_mb) // 2
    early, late = clients.resident_mb[: half or 1], clients.resident_mb[half:]
    assert statistics.median(late) < statistics.median(early) + GROWTH_LIMIT_MB
    assert seconds_alone(api) < 3 * alone_s + SLACK_S
    assert api.get("/readyz").status_code == 200
