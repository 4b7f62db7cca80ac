"""What every `RateLimiter` does: in this process, in Redis, and with Redis down."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from service.access.rate_limits import RateLimiter
from service.storage.local.rate_limits import MemoryRateLimiter, Rate
from service.storage.redis.link import RedisLink
from service.storage.redis.rate_limits import KEY_PREFIX, RedisRateLimiter
from tests.support.processes.redis_server import RedisServer

MakeLimiter = Callable[[Rate], RateLimiter]


@pytest.fixture(params=["memory", "redis", "redis down"])
def make_limiter(request: pytest.FixtureRequest, link: RedisLink, tmp_path: Path) -> MakeLimiter:
    if request.param == "memory":
        return MemoryRateLimiter
    chosen = link if request.param == "redis" else RedisLink(f"unix://{tmp_path}/missing.sock")
    return lambda rate: RedisRateLimiter(chosen, rate, MemoryRateLimiter(rate))


def test_a_burst_is_granted_and_then_the_wait_is_returned(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(Rate(per_minute=2, burst=3))
    assert [limiter.take("a") for _ in range(3)] == [0, 0, 0]
    first, second = limiter.take("a"), limiter.take("a")
    assert 20 < second <= first <= 30


def test_callers_have_separate_limits(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(Rate(per_minute=1, burst=1))
    assert limiter.take("a") == 0
    assert limiter.take("a") > 0
    assert limiter.take("b") == 0


def test_after_the_wait_another_request_is_granted(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(Rate(per_minute=200, burst=1))
    assert limiter.take("a") == 0
    wait_s = limiter.take("a")
    assert wait_s <= 0.3
    time.sleep(wait_s + 0.01)
    assert limiter.take("a") == 0


def test_concurrent_requests_are_granted_up_to_the_burst(make_limiter: MakeLimiter) -> None:
    limiter = make_limiter(Rate(per_minute=1, burst=20))
    granted: list[float] = []

    def work() -> None:
        granted.extend(one for one in (limiter.take("a") for _ in range(10)) if one == 0)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 20


def test_replicas_share_one_count(link: RedisLink, server: RedisServer) -> None:
    rate = Rate(per_minute=1, burst=2)
    other = RedisLink(server.url, timeout_s=5)
    replicas = [RedisRateLimiter(one, rate, MemoryRateLimiter(rate)) for one in (link, other)]
    assert [replica.take("a") > 0 for replica in replicas * 2] == [False, False, True, True]
    other.close()


def test_the_entry_of_an_idle_caller_expires(link: RedisLink, server: RedisServer) -> None:
    rate = Rate(per_minute=60, burst=10)
    RedisRateLimiter(link, rate, MemoryRateLimiter(rate)).take("a")
    with redis.Redis.from_url(server.url) as client:
        assert 0 < client.pttl(f"{KEY_PREFIX}a") <= 1001


def test_memory_stays_bounded_with_many_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.storage.local.rate_limits.MAX_CALLERS", 50)
    now = [0.0]
    limiter = MemoryRateLimiter(Rate(per_minute=1, burst=1), clock=lambda: now[0])
    for number in range(500):
        now[0] += 0.001
        assert limiter.take(str(number)) == 0
    assert limiter.take("499") > 0
    assert len(limiter._arrivals) <= 50
