"""Embedding caches: in memory, and in a real Redis that is then slowed, stopped and lied to."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis
from numpy.typing import NDArray

from service.storage.local.cache import MemoryCache
from service.storage.redis.cache import KEY_PREFIX, RedisCache
from service.storage.redis.link import RedisLink
from tests.support.redis_server import RedisServer, running_redis


def vector(seed: int, width: int = 384) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)


class TestMemoryCache:
    def test_what_was_put_comes_back(self) -> None:
        cache = MemoryCache(10)
        cache.put("a", vector(1))
        kept = cache.get("a")
        assert kept is not None
        np.testing.assert_array_equal(kept, vector(1))
        assert cache.get("b") is None

    def test_the_least_recently_used_is_forgotten(self) -> None:
        cache = MemoryCache(2)
        cache.put("a", vector(1))
        cache.put("b", vector(2))
        cache.get("a")
        cache.put("c", vector(3))
        assert cache.get("b") is None
        assert cache.get("a") is not None
        assert cache.get("c") is not None

    def test_nobody_can_change_what_is_kept(self) -> None:
        cache = MemoryCache(2)
        mine = vector(1)
        cache.put("a", mine)
        mine[:] = 0
        kept = cache.get("a")
        assert kept is not None
        np.testing.assert_array_equal(kept, vector(1))
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 1

    def test_of_no_entries_it_forgets_at_once(self) -> None:
        cache = MemoryCache(0)
        cache.put("a", vector(1))
        assert cache.get("a") is None

    def test_many_threads(self) -> None:
        cache = MemoryCache(8)
        wrong: list[int] = []

        def work(offset: int) -> None:
            for i in range(300):
                n = (i + offset) % 16
                cache.put(str(n), np.full(4, n, np.float32))
                kept = cache.get(str((n * 7) % 16))
                if kept is not None and not (kept == (n * 7) % 16).all():
                    wrong.append(n)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as one:
        yield one


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestRedisCache:
    def test_what_was_put_comes_back_to_every_replica(self, server: RedisServer) -> None:
        links = [RedisLink(server.url, timeout_s=5) for _ in range(2)]
        one, two = (RedisCache(link) for link in links)
        one.put("b:sar:1.0:abc", vector(1))
        kept = two.get("b:sar:1.0:abc")
        assert kept is not None
        assert kept.dtype == np.float32
        np.testing.assert_array_equal(kept, vector(1))
        assert two.get("b:sar:1.0:abd") is None
        assert [link.failures for link in links] == [0, 0]
        for link in links:
            link.close()

    def test_entries_expire(self, server: RedisServer) -> None:
        link = RedisLink(server.url, timeout_s=5)
        cache = RedisCache(link, expire_s=1000)
        cache.put("a", vector(1))
        with redis.Redis.from_url(server.url) as client:
            assert 990 < client.ttl(KEY_PREFIX + b"a") <= 1000
        link.close()

    @pytest.mark.parametrize("damage", [b"", b"short", b"x" * 8, b"x" * 40, b"x" * 41])
    def test_a_damaged_value_is_unknown(self, server: RedisServer, damage: bytes) -> None:
        link = RedisLink(server.url, timeout_s=5)
        cache = RedisCache(link)
        with redis.Redis.from_url(server.url) as client:
            client.set(KEY_PREFIX + b"a", damage)
        assert cache.get("a") is None
        assert link.failures == 0
        link.close()

    def test_a_value_of_another_kind_is_unknown(self, server: RedisServer) -> None:
        link = RedisLink(server.url, timeout_s=5)
        cache = RedisCache(link)
        with redis.Redis.from_url(server.url) as client:
            client.lpush(KEY_PREFIX + b"a", b"not an embedding")
        assert cache.get("a") is None
        link.close()

    def test_a_dead_redis_costs_one_failure_and_one_line(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = Clock()
        link = RedisLink(server.url, timeout_s=5, pause_s=10, clock=clock)
        cache = RedisCache(link)
        cache.put("a", vector(1))
        server.kill()
        with caplog.at_level(logging.WARNING):
            for _ in range(50):
                assert cache.get("a") is None
                cache.put("b", vector(2))
            assert link.failures == 1
            clock.now = 10.5
            assert cache.get("a") is None
            assert cache.get("a") is None
            assert link.failures == 2
        assert len(caplog.records) == 1
        assert "going on without it" in caplog.text
        link.close()

    def test_a_stalled_redis_is_given_up_soon_and_taken_up_again(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = Clock()
        link = RedisLink(server.url, timeout_s=0.2, pause_s=10, clock=clock)
        cache = RedisCache(link)
        cache.put("a", vector(1))
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLIENT", "PAUSE", 600, "ALL")
            began = time.monotonic()
            with caplog.at_level(logging.WARNING):
                assert cache.get("a") is None
                waited = time.monotonic() - began
                for _ in range(100):
                    assert cache.get("a") is None
                assert link.failures == 1
                assert 0.15 < waited < 5
                client.ping()
                clock.now = 10.5
                kept = cache.get("a")
        assert kept is not None
        np.testing.assert_array_equal(kept, vector(1))
        assert [r.getMessage()[-11:] for r in caplog.records][1:] == ["works again"]
        link.close()

    def test_an_address_where_nobody_answers(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            link = RedisLink(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
            cache = RedisCache(link)
            assert cache.get("a") is None
            cache.put("a", vector(1))
            assert link.failures == 1
            link.close()

    def test_an_address_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="scheme"):
            RedisLink("localhost:6379")
