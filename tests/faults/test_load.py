"""Twice the requests that the service can answer: beyond it 429, and the accepted are quick.

The crowd speaks HTTP over plain sockets, a connection a request: a client library costs so much
more than the refusals that it would be the one who is overloaded.
"""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from tests.support.chips import sar_tiff
from tests.support.faults.scale import Scale
from tests.support.service_process import ServiceProcess

MOST_AT_ONCE = 64
MEASURING_CLIENTS = 8
MEASURED_S = 2.0
OVERLOAD = 2.0
CHIPS = [sar_tiff(seed) for seed in range(64)]
LATE_S = 1.0
ANSWER_LIMIT_S = 120.0
GROWTH_LIMIT_MB = 25.0
SLACK_S = 0.5
LONGEST_STAYS = 3.0


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
        lag_s: by how much the crowd itself was late to ask, at most.
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
    lag_s: float = 0.0

    async def ask(self, request: bytes) -> None:
        began = time.monotonic()
        status, advice = await answered(self.service, request)
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(time.monotonic() - began)
        elif status == 429:
            self.without_advice += advice < 1

    async def watch(self) -> None:
        """Look at memory and readiness all the time; until cancelled."""
        ask = plain_request(httpx.Request("GET", f"{self.service.url}/readyz"))
        while True:
            began = time.monotonic()
            status, _ = await answered(self.service, ask)
            assert status == 200
            self.probe_seconds.append(time.monotonic() - began)
            self.resident_mb.append(self.service.resident_mb())
            await asyncio.sleep(0.2)

    @property
    def accepted(self) -> int:
        return len(self.seconds)


def plain_request(request: httpx.Request) -> bytes:
    """Its bytes, for a connection that carries nothing else."""
    head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1", "Connection: close"]
    head += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + request.read()


def matches(service: ServiceProcess) -> list[bytes]:
    """`POST /match` with each of the chips."""
    url, said = f"{service.url}/match", {"store": "false"}
    return [
        plain_request(httpx.Request("POST", url, files={"chip": chip}, data=said)) for chip in CHIPS
    ]


async def answered(service: ServiceProcess, request: bytes) -> tuple[int, int]:
    """The status of the answer, and its `Retry-After`, s, 0 without one.

    Raises:
        TimeoutError: no answer in time.
        OSError: the connection was refused or cut.
    """
    place = urlsplit(service.url)
    async with asyncio.timeout(ANSWER_LIMIT_S):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(request)
            await writer.drain()
            head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
    status, *lines = head.decode("latin-1").lower().split("\r\n")
    advice = [line.partition(":")[2] for line in lines if line.startswith("retry-after:")]
    return int(status.split()[1]), int(advice[0]) if advice else 0


async def capacity(service: ServiceProcess) -> float:
    """Matches a second, asked by a few clients who wait for their answer."""
    crowd, requests = Crowd(service), itertools.cycle(matches(service))
    until = time.monotonic() + MEASURED_S

    async def keep_asking() -> None:
        while time.monotonic() < until:
            await crowd.ask(next(requests))

    began = time.monotonic()
    await asyncio.gather(*(keep_asking() for _ in range(MEASURING_CLIENTS)))
    assert set(crowd.statuses) == {200}
    return crowd.accepted / (time.monotonic() - began)


async def overload(service: ServiceProcess, per_second: float, lasts_s: float) -> Crowd:
    """Ask at this rate whatever the answers, after a crowd that fills the house at once."""
    crowd, requests = Crowd(service), itertools.cycle(matches(service))
    async with asyncio.TaskGroup() as asking:
        watch = asyncio.create_task(crowd.watch())
        for _ in range(MOST_AT_ONCE):
            asking.create_task(crowd.ask(next(requests)))
        began, asked = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < lasts_s:
            crowd.lag_s = max(crowd.lag_s, elapsed - asked / per_second)
            while asked < elapsed * per_second:
                asking.create_task(crowd.ask(next(requests)))
                asked += 1
            await asyncio.sleep(0.005)
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
    print(f"(bound {LONGEST_STAYS * stay_s + SLACK_S:.2f} s); ", end="")
    print(f"ready within {max(crowd.probe_seconds):.2f} s; ", end="")
    print(f"memory {crowd.resident_mb[0]:.0f} to {crowd.resident_mb[-1]:.0f} MB; ", end="")
    print(f"asked at most {crowd.lag_s:.2f} s late")
    assert crowd.lag_s < LATE_S, "the crowd itself could not keep up"
    assert set(crowd.statuses) == {200, 429}
    assert crowd.without_advice == 0
    assert goodput > able / 4
    assert p99 < LONGEST_STAYS * stay_s + SLACK_S
    assert statistics.median(crowd.probe_seconds) < p50 + SLACK_S
    half = len(crowd.resident_mb) // 2
    early, late = crowd.resident_mb[: half or 1], crowd.resident_mb[half:]
    assert statistics.median(late) < statistics.median(early) + GROWTH_LIMIT_MB
    assert seconds_alone(api) < 3 * alone_s + SLACK_S
    assert api.get("/readyz").status_code == 200
