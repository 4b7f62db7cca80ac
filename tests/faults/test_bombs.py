"""Small files that are costly to decode: each is refused at once, and no other client waits."""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from tests.support.faults.raw_http import raw_request, send_raw
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import sar_tiff
from tests.support.inputs.costly_files import BOMBS
from tests.support.processes.service_process import ServiceProcess

BOMB_LIMIT_S = 1.0
GOOD_LIMIT_S = 2.0
MAX_SLOWER = 5.0
"""On a machine so busy that a match alone takes longer than `GOOD_LIMIT_S / MAX_SLOWER`."""
MEMORY_LIMIT_MB = 400.0
GOOD_CLIENTS = 4
SAMPLED_EVERY_S = 0.02
FEWEST_MATCHES = 3 * GOOD_CLIENTS


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {kind: build() for kind, build in BOMBS.items()}


@dataclass
class Crowd:
    """Clients that send bombs beside clients that match chips, and what they measured.

    Attributes:
        statuses: the number of responses to bombs by status.
        seconds: the latency of each match.
        most_mb: the largest memory of the service and its decoders.
    """

    service: ServiceProcess
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    most_mb: float = 0.0

    async def drop(self, bomb: bytes) -> float:
        """Send a bomb; return the seconds until its response."""
        began = time.monotonic()
        status, _ = await send_raw(self.service, match_request(self.service, bomb))
        self.statuses[status] += 1
        return time.monotonic() - began

    async def match(self, chip: bytes) -> None:
        began = time.monotonic()
        status, _ = await send_raw(self.service, match_request(self.service, chip))
        self.seconds.append(time.monotonic() - began)
        assert status == 200

    async def watch(self) -> None:
        """Measure memory until cancelled."""
        while True:
            self.most_mb = max(self.most_mb, self.service.resident_mb_of_all())
            await asyncio.sleep(SAMPLED_EVERY_S)


def match_request(service: ServiceProcess, chip: bytes) -> bytes:
    fields, url = {"store": "false"}, f"{service.url}/match"
    return raw_request(httpx.Request("POST", url, files={"chip": chip}, data=fields))


async def matches_alone(service: ServiceProcess) -> float:
    """Return the seconds of the slowest of a few matches by as many clients as later."""
    crowd = Crowd(service)
    for first in range(0, FEWEST_MATCHES, GOOD_CLIENTS):
        seeds = range(first, first + GOOD_CLIENTS)
        await asyncio.gather(*(crowd.match(sar_tiff(seed)) for seed in seeds))
    return max(crowd.seconds)


async def bombs_beside_good_clients(
    service: ServiceProcess, bombs: dict[str, bytes], count: int
) -> Crowd:
    crowd, seeds, done = Crowd(service), itertools.count(1000), asyncio.Event()

    async def match_on() -> None:
        while not done.is_set() or len(crowd.seconds) < FEWEST_MATCHES:
            await crowd.match(sar_tiff(next(seeds)))

    watch = asyncio.create_task(crowd.watch())
    async with asyncio.TaskGroup() as clients:
        for _ in range(GOOD_CLIENTS):
            clients.create_task(match_on())
        kinds = itertools.islice(itertools.cycle(bombs.values()), count)
        await asyncio.gather(*map(crowd.drop, kinds))
        done.set()
    watch.cancel()
    return crowd


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_at_once_and_takes_no_memory(
    service: ServiceProcess, bombs: dict[str, bytes], kind: str
) -> None:
    async def drop() -> tuple[float, Crowd]:
        crowd = Crowd(service)
        watch = asyncio.create_task(crowd.watch())
        lasted = await crowd.drop(bombs[kind])
        watch.cancel()
        return lasted, crowd

    usual_mb = service.resident_mb_of_all()
    lasted_s, crowd = asyncio.run(drop())
    print(f"\n{kind}: {dict(crowd.statuses)} after {lasted_s:.2f} s, {crowd.most_mb:.0f} MB")
    assert len(bombs[kind]) < 100_000
    assert crowd.statuses == {422: 1}
    assert lasted_s < BOMB_LIMIT_S
    assert crowd.most_mb < usual_mb + MEMORY_LIMIT_MB


def test_many_bombs_at_once_delay_no_other_client(
    service: ServiceProcess, api: httpx.Client, bombs: dict[str, bytes], scale: Scale
) -> None:
    alone_s = asyncio.run(matches_alone(service))
    usual_mb = service.resident_mb_of_all()
    crowd = asyncio.run(bombs_beside_good_clients(service, bombs, scale.bombs))
    slowest = max(crowd.seconds)
    print(f"\n{scale.bombs} bombs: {dict(crowd.statuses)}; {len(crowd.seconds)} matches, ", end="")
    print(f"slowest {slowest:.2f} s (alone {alone_s:.2f} s); ", end="")
    print(f"memory {usual_mb:.0f} MB before, at most {crowd.most_mb:.0f} MB")
    assert crowd.statuses.total() == scale.bombs
    assert set(crowd.statuses) <= {422, 429}
    assert slowest < max(GOOD_LIMIT_S, MAX_SLOWER * alone_s)
    assert crowd.most_mb < usual_mb + MEMORY_LIMIT_MB
    assert api.get("/readyz").status_code == 200
    assert "killed a decoder" not in service.log.read_text()
