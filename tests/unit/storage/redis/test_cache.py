"""Embedding caches: in memory, and in a real Redis that is slow, stopped or holds wrong values."""

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
from tests.support.processes.redis_server import RedisServer, running_redis


def vector(seed: int, width: int = 384) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)


class TestMemoryCache:
    def test_a_stored_embedding_is_returned(self) -> None:
        cache = MemoryCache(10)
        cache.put("a", vector(1))
        cached = cache.get("a")
        assert cached is not None
        np.testing.assert_array_equal(cached, vector(1))
        assert cache.get("b") is None

    def test_the_least_recently_used_embedding_is_dropped(self) -> None:
        cache = MemoryCache(2)
        cache.put("a", vector(1))
        cache.put("b", vector(2))
        cache.get("a")
        cache.put("c", vector(3))
        assert cache.get("b") is None
        assert cache.get("a") is not None
        assert cache.get("c") is not None

    def test_a_cached_embedding_cannot_be_changed(self) -> None:
        cache = MemoryCache(2)
        original = vector(1)
        cache.put("a", original)
        original[:] = 0
        cached = cache.get("a")
        assert cached is not None
        np.testing.assert_array_equal(cached, vector(1))
        with pytest.raises(ValueError, match="read-only"):
            cached[0] = 1

    def test_a_cache_of_no_entries_keeps_nothing(self) -> None:
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
                cached = cache.get(str((n * 7) % 16))
                if cached is not None and not (cached == (n * 7) % 16).all():
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
    def test_every_replica_gets_a_stored_embedding(self, server: RedisServer) -> None:
        links = [RedisLink(server.url, timeout_s=5) for _ in range(2)]
        one, two = (RedisCache(link) for link in links)
        one.put("b:sar:1.0:abc", vector(1))
        cached = two.get("b:sar:1.0:abc")
        assert cached is not None
        assert cached.dtype == np.float32
        np.testing.assert_array_equal(cached, vector(1))
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
    def test_a_damaged_value_or_one_of_another_kind_is_unknown(
        self, server: RedisServer, damage: bytes
    ) -> None:
        link = RedisLink(server.url, timeout_s=5)
        cache = RedisCache(link)
        with redis.Redis.from_url(server.url) as client:
            client.set(KEY_PREFIX + b"a", damage)
            client.lpush(KEY_PREFIX + b"list", damage)
        assert cache.get("a") is None
        assert link.failures == 0
        assert cache.get("list") is None
        link.close()

    def test_a_stopped_redis_causes_one_failure_and_one_log_line(
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

    def test_a_hanging_redis_is_skipped_soon_and_used_again(
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
                cached = cache.get("a")
        assert cached is not None
        np.testing.assert_array_equal(cached, vector(1))
        assert [r.getMessage()[-11:] for r in caplog.records][1:] == ["works again"]
        link.close()

    def test_an_address_without_a_server(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            link = RedisLink(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
            cache = RedisCache(link)
            assert cache.get("a") is None
            cache.put("a", vector(1))
            assert link.failures == 1
            link.close()

    def test_an_invalid_address_is_refused(self) -> None:
        with pytest.raises(ValueError, match="scheme"):
            RedisLink("localhost:6379")
