"""Twice the requests that the service can answer: beyond it 429, and the accepted are quick."""

import asyncio
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest

from tests.chips import sar_tiff
from tests.e2e.service_process import ServiceProcess
from tests.faults.scale import Scale

MOST_AT_ONCE = 64
MEASURING_CLIENTS = 8
MEASURED_S = 2.0
OVERLOAD = 2.0
CHIPS = [sar_tiff(seed) for seed in range(64)]
ANSWER_LIMIT_S = 120.0
GROWTH_LIMIT_MB = 25.0
SLACK_S = 0.5


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    """Every chip is computed, and more are taken at once than there are threads."""
    return {
        "CROSSFIX_CACHE_ENTRIES": "0",
        "CROSSFIX_MAX_CONCURRENT_REQUESTS": str(MOST_AT_ONCE),
    }


@dataclass
class Crowd:
    """Clients of one service and what they were answered.

    Attributes:
        statuses: how often each.
        seconds: of each accepted request.
        probe_seconds: of each question whether the service is ready.
        resident_mb: memory of the service while it was asked.
        without_advice: 429s that do not say when to come again.
    """

    service: ServiceProcess
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    probe_seconds: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    without_advice: int = 0

    async def ask(self, client: httpx.AsyncClient, number: int) -> None:
        chip = {"chip": CHIPS[number % len(CHIPS)]}
        began = time.monotonic()
        answer = await client.post("/match", files=chip, data={"store": "false"})
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            self.seconds.append(time.monotonic() - began)
        elif answer.status_code == 429:
            self.without_advice += int(answer.headers.get("retry-after", "0")) < 1

    async def watch(self, client: httpx.AsyncClient) -> None:
        """Look at memory and readiness all the time; until cancelled."""
        while True:
            began = time.monotonic()
            ready = await client.get("/readyz")
            assert ready.status_code == 200, ready.text
            self.probe_seconds.append(time.monotonic() - began)
            self.resident_mb.append(self.service.resident_mb())
            await asyncio.sleep(0.2)

    @property
    def accepted(self) -> int:
        return len(self.seconds)


def client_of(service: ServiceProcess) -> httpx.AsyncClient:
    roomy = httpx.Limits(max_connections=None, max_keepalive_connections=MOST_AT_ONCE)
    return httpx.AsyncClient(base_url=service.url, timeout=ANSWER_LIMIT_S, limits=roomy)


async def capacity(service: ServiceProcess) -> float:
    """Matches a second, asked by a few clients who wait for their answer."""
    crowd = Crowd(service)
    until = time.monotonic() + MEASURED_S

    async with client_of(service) as client:

        async def keep_asking(number: int) -> None:
            while time.monotonic() < until:
                await crowd.ask(client, number)

        began = time.monotonic()
        await asyncio.gather(*(keep_asking(number) for number in range(MEASURING_CLIENTS)))
    assert set(crowd.statuses) == {200}
    return crowd.accepted / (time.monotonic() - began)


async def overload(service: ServiceProcess, per_second: float, lasts_s: float) -> Crowd:
    """Ask at this rate whatever the answers, after a crowd that fills the house at once."""
    crowd = Crowd(service)
    async with client_of(service) as client, client_of(service) as watcher:
        watch = asyncio.create_task(crowd.watch(watcher))
        asked = [asyncio.create_task(crowd.ask(client, n)) for n in range(MOST_AT_ONCE)]
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < lasts_s:
            while len(asked) - MOST_AT_ONCE < elapsed * per_second:
                asked.append(asyncio.create_task(crowd.ask(client, len(asked))))
            await asyncio.sleep(0.005)
        await asyncio.gather(*asked)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert watch.cancelled(), watch.exception()
    return crowd


def seconds_alone(api: httpx.Client) -> float:
    """The median of a few matches, one after the other."""
    took = []
    for number in range(5):
        began = time.monotonic()
        assert api.post("/match", files={"chip": CHIPS[number]}).status_code == 200
        took.append(time.monotonic() - began)
    return statistics.median(took)


def test_beyond_the_capacity_is_429_and_within_is_quick(
    service: ServiceProcess, api: httpx.Client, scale: Scale
) -> None:
    alone_s = seconds_alone(api)
    able = asyncio.run(capacity(service))
    began = time.monotonic()
    crowd = asyncio.run(overload(service, OVERLOAD * able, scale.load_s))
    lasted = time.monotonic() - began
    goodput = crowd.accepted / lasted
    p50, p99 = np.percentile(crowd.seconds, (50, 99))
    # Little's law: so many at once, answered at this rate, stay this long on average.
    stay_s = MOST_AT_ONCE / goodput
    print(f"\ncapacity {able:.1f}/s; asked {OVERLOAD * able:.1f}/s for {lasted:.1f} s: ", end="")
    print(f"{dict(crowd.statuses)}, {goodput:.1f}/s answered, p50 {p50:.2f} s, p99 {p99:.2f} s ")
    print(f"(bound {2 * stay_s + SLACK_S:.2f} s); ready within {max(crowd.probe_seconds):.2f} s; ")
    print(f"memory {crowd.resident_mb[0]:.0f} to {crowd.resident_mb[-1]:.0f} MB")
    assert set(crowd.statuses) == {200, 429}
    assert crowd.without_advice == 0
    assert goodput > able / 4
    assert p99 < 2 * stay_s + SLACK_S
    assert statistics.median(crowd.probe_seconds) < p50 + SLACK_S
    half = len(crowd.resident_mb) // 2
    early, late = crowd.resident_mb[: half or 1], crowd.resident_mb[half:]
    assert statistics.median(late) < statistics.median(early) + GROWTH_LIMIT_MB
    assert seconds_alone(api) < 3 * alone_s + SLACK_S
    assert api.get("/readyz").status_code == 200
