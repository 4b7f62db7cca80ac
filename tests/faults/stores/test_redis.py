"""Redis slow, full, restarted, disconnected or wrong: clients of the service notice nothing.

A real redis-server behind a proxy with faults: first with the three stores that use Redis, then
with a real service.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis

from service.access.idempotency import IdempotencyState, StoredResponse
from service.access.roles import Role
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.local.keys import KeyFile
from service.storage.local.rate_limits import MemoryRateLimiter, Rate
from service.storage.redis.cache import RedisCache
from service.storage.redis.idempotency import RedisIdempotencyStore
from service.storage.redis.link import PAUSE_S, TIMEOUT_S, RedisLink
from service.storage.redis.rate_limits import RedisRateLimiter
from tests.support.doubles.proxy import Fault, FaultyProxy, running_proxy
from tests.support.faults.outages import wait_until
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.redis_server import RedisServer, running_redis
from tests.support.processes.service_process import ServiceProcess, running_service

SLACK_S = 15.0
BURST, PER_MINUTE = 300, 60
AT_ONCE = 2
VESSELS = 3
FAILS, WORKS = "Redis fails, going on without it", "Redis works again"

DISCONNECTED = Fault("disconnected", refuse=True)
FAULTS = [
    DISCONNECTED,
    Fault("silent", silent=True),
    Fault("slow", delay_s=10 * TIMEOUT_S),
    Fault("cut", cut_after=2),
    Fault("nothing", answer=b""),
    Fault("web-server", answer=b"HTTP/1.1 400 Bad Request\r\n\r\n", again=True),
    Fault("noise", answer=bytes(range(256)) * 4, again=True),
    Fault("zeros", answer=b"\0" * 100, again=True),
    Fault("error", answer=b"-ERR unknown command\r\n", again=True),
    Fault("loading", answer=b"-LOADING Redis is loading the dataset in memory\r\n", again=True),
    Fault(
        "read-only",
        answer=b"-READONLY You can't write against a read only replica.\r\n",
        again=True,
    ),
    Fault("password", answer=b"-NOAUTH Authentication required.\r\n", again=True),
    Fault("odd-length", answer=b"$-999\r\n", again=True),
    Fault("no-length", answer=b"$many\r\n", again=True),
    Fault("no-number", answer=b":many\r\n", again=True),
    Fault("another-embedding", answer=b"$12\r\nabcdefghijkl\r\n", again=True),
    Fault("a-list", answer=b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", again=True),
    Fault("nested", answer=b"*1\r\n" * 5000, again=True),
    Fault("short-list", answer=b"*1000\r\n$1\r\na\r\n", again=True),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture(scope="module")
def proxy(server: RedisServer) -> Iterator[FaultyProxy]:
    with running_proxy(Path(server.url.removeprefix("unix://"))) as one:
        yield one


def url(proxy: FaultyProxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_stores_work_without_redis(proxy: FaultyProxy, fault: Fault) -> None:
    """Without a pause after a failure, so that each request meets the fault."""
    proxy.heal()
    link = RedisLink(url(proxy), timeout_s=0.2, pause_s=0.0)
    rate = Rate(per_minute=60, burst=2)
    limiter = RedisRateLimiter(link, rate, MemoryRateLimiter(rate))
    lifetimes = Lifetimes(60, 60)
    store = RedisIdempotencyStore(link, lifetimes, MemoryIdempotencyStore(lifetimes))
    cache = RedisCache(link)
    vector = np.arange(4, dtype=np.float32)
    cache.put("known", vector)
    proxy.inject(fault)
    began = time.monotonic()
    assert cache.get("known") is None
    cache.put("new", vector)
    assert [limiter.take("me") <= 0 for _ in range(4)] == [True, True, False, False]
    claim = store.claim("key", "print")
    assert claim.state is IdempotencyState.CLAIMED
    store.finish("key", "print", claim.ticket, StoredResponse(200, (), b"done"))
    assert store.claim("key", "print").state is IdempotencyState.DONE
    assert store.claim("key", "other").state is IdempotencyState.DIFFERENT
    assert time.monotonic() - began < 10 * 2 * 0.2 + SLACK_S
    proxy.heal()
    cached = cache.get("known")
    assert cached is not None
    np.testing.assert_array_equal(cached, vector)
    link.close()


@dataclass(frozen=True)
class Site:
    """A service that uses Redis, a client with an API key, and the key file."""

    service: ServiceProcess
    api: httpx.Client
    keys: KeyFile

    def match(self, seed: int, **headers: str) -> httpx.Response:
        """Match a chip without storing it."""
        chip = {"chip": sar_tiff(seed)}
        return self.api.post("/match", files=chip, data={"store": "false"}, headers=headers)

    def ranking(self, seed: int) -> list[tuple[str, float]]:
        """Match a chip and return vessel ids and similarities."""
        answer = self.match(seed)
        assert answer.status_code == 200, answer.text
        found = answer.json()["candidates"]
        return [(one["vessel"]["id"], one["similarity"]) for one in found]

    def logged(self, words: str) -> int:
        return sum(words in line for line in self.service.log.read_text().splitlines())

    def failures(self) -> float:
        lines = self.api.get("/metrics").text.splitlines()
        name = "crossfix_redis_failures "
        return next(float(one.removeprefix(name)) for one in lines if one.startswith(name))

    def seconds(self, seed: int) -> float:
        began = time.monotonic()
        assert self.match(seed).status_code == 200
        return time.monotonic() - began


@pytest.fixture(scope="module")
def site(proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    proxy.heal()
    folder = tmp_path_factory.mktemp("service")
    keys = KeyFile(folder / "keys.json")
    _, key = keys.create("tester", Role.CURATOR, datetime.now(UTC))
    settings = {
        "CROSSFIX_REDIS_URL": url(proxy),
        "CROSSFIX_KEYS_FILE": str(folder / "keys.json"),
        "CROSSFIX_RATE_LIMIT_PER_MINUTE": str(PER_MINUTE),
        "CROSSFIX_RATE_LIMIT_BURST": str(BURST),
        "CROSSFIX_METRICS_WITHOUT_KEY": "true",
    }
    with running_service(folder, settings=settings) as service, service.client(key=key) as api:
        for number in range(VESSELS):
            files = [("chips", (f"{number}.png", optical_png(number)))]
            fields = {"vessel": json.dumps({"name": f"SHIP {number}"})}
            assert api.post("/gallery", data=fields, files=files).status_code == 201
        yield Site(service, api, keys)


@contextmanager
def outage(site: Site, begin: Callable[[], object], end: Callable[[], object]) -> Iterator[None]:
    """Run a block during an outage, which must be logged once, counted, and end by itself."""
    failed, recovered, failures = site.logged(FAILS), site.logged(WORKS), site.failures()
    began = time.monotonic()
    begin()
    try:
        yield
    finally:
        end()
    lasted = time.monotonic() - began
    assert site.logged(FAILS) == failed + 1
    assert 1 <= site.failures() - failures <= (lasted / PAUSE_S + 1) * AT_ONCE
    wait_until(
        lambda: site.match(0).is_success and site.logged(WORKS) > recovered,
        PAUSE_S + SLACK_S,
        "using Redis again",
        every_s=0.3,
    )


def assert_same_answers(
    site: Site, before: Mapping[int, list[tuple[str, float]]], new: int
) -> None:
    """Assert that cached and new chips are answered as before, at most a little later."""
    usual = statistics.median(site.seconds(new + i) for i in range(5))
    took = []
    for seed, ranking in before.items():
        began = time.monotonic()
        again = site.ranking(seed)
        took.append(time.monotonic() - began)
        assert [vessel for vessel, _ in again] == [vessel for vessel, _ in ranking]
        assert dict(again) == pytest.approx(dict(ranking), abs=1e-5)
    assert site.api.get("/readyz").status_code == 200
    # One request may have waited for Redis; the others are no slower than an uncached chip.
    assert min(took) < usual + 2 * TIMEOUT_S
    assert sum(took) < len(took) * usual + 2 * AT_ONCE * TIMEOUT_S + SLACK_S


def test_a_service_works_while_redis_hangs_or_is_disconnected(
    site: Site, proxy: FaultyProxy
) -> None:
    before = {seed: site.ranking(seed) for seed in range(100, 105)}
    connections = proxy.accepted

    def hang() -> None:
        proxy.inject(Fault("silent", silent=True))

    with outage(site, hang, proxy.heal):
        assert_same_answers(site, before, 200)
        proxy.inject(DISCONNECTED)
        assert_same_answers(site, before, 210)
        assert_idempotency_keys_work(site)
        assert_rate_limit_works(site)
        assert proxy.accepted - connections < 10


def assert_idempotency_keys_work(site: Site) -> None:
    """Assert that this process replays the response to a repeated request."""
    key = {"Idempotency-Key": "sent twice while Redis is away"}
    first, second = (site.match(300, **key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"


def assert_rate_limit_works(site: Site) -> None:
    """Assert that this process grants the burst and then the rate, with Retry-After."""
    _, key = site.keys.create("hasty", Role.READER, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {key}"}
    wait_until(
        lambda: site.api.get("/bundle", headers=headers).is_success,
        SLACK_S,
        "accepting the new key",
    )
    granted, began = 1, time.monotonic()
    while (answer := site.api.get("/bundle", headers=headers)).is_success:
        granted += 1
        assert granted < 2 * BURST
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60 / PER_MINUTE + 1
    assert BURST <= granted <= BURST + (time.monotonic() - began + SLACK_S) * PER_MINUTE / 60


def test_a_service_works_while_redis_is_full(site: Site, server: RedisServer) -> None:
    before = {seed: site.ranking(seed) for seed in range(400, 403)}
    with redis.Redis.from_url(server.url) as owner:

        def fill() -> None:
            owner.config_set("maxmemory-policy", "noeviction")
            owner.config_set("maxmemory", 1)

        with outage(site, fill, lambda: owner.config_set("maxmemory", 0)):
            assert_same_answers(site, before, 410)


def test_a_service_works_while_redis_is_restarted(site: Site, server: RedisServer) -> None:
    before = {seed: site.ranking(seed) for seed in range(500, 503)}
    with outage(site, server.kill, server.start):
        assert_same_answers(site, before, 510)
    assert_same_answers(site, before, 520)
