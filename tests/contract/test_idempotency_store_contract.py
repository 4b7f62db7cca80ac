"""What every `IdempotencyStore` does: in this process, in Redis, and with Redis down."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.access.idempotency import (
    IdempotencyClaim,
    IdempotencyState,
    IdempotencyStore,
    StoredResponse,
)
from service.storage.local.idempotency import Lifetimes, MemoryIdempotencyStore
from service.storage.redis.idempotency import KEY_PREFIX, RedisIdempotencyStore
from service.storage.redis.link import RedisLink
from tests.support.processes.redis_server import RedisServer

LONG = Lifetimes(claim_s=1000, response_s=2000)
ANSWER = StoredResponse(201, (("content-type", "application/json"),), b'{"id": "\xc3\xa9"}')
MakeStore = Callable[[Lifetimes], IdempotencyStore]


@pytest.fixture(params=["memory", "redis", "redis down"])
def make_store(request: pytest.FixtureRequest, link: RedisLink, tmp_path: Path) -> MakeStore:
    if request.param == "memory":
        return MemoryIdempotencyStore
    chosen = link if request.param == "redis" else RedisLink(f"unix://{tmp_path}/missing.sock")
    return lambda lifetimes: RedisIdempotencyStore(
        chosen, lifetimes, MemoryIdempotencyStore(lifetimes)
    )


def claimed(store: IdempotencyStore, key: str = "k", fingerprint: str = "f") -> str:
    claim = store.claim(key, fingerprint)
    assert claim.state is IdempotencyState.CLAIMED
    return claim.ticket


def test_the_first_request_claims_the_key_and_others_find_its_state(make_store: MakeStore) -> None:
    store = make_store(LONG)
    ticket = claimed(store)
    assert store.claim("k", "f") == IdempotencyClaim(IdempotencyState.PENDING)
    assert store.claim("k", "other") == IdempotencyClaim(IdempotencyState.DIFFERENT)
    store.finish("k", "f", ticket, ANSWER)
    assert store.claim("k", "f") == IdempotencyClaim(IdempotencyState.DONE, answer=ANSWER)
    assert store.claim("k", "other") == IdempotencyClaim(IdempotencyState.DIFFERENT)
    claimed(store, "another key")


def test_a_response_without_a_body_is_stored(make_store: MakeStore) -> None:
    store = make_store(LONG)
    store.finish("k", "f", claimed(store), StoredResponse(200, (), None))
    assert store.claim("k", "f").answer == StoredResponse(200, (), None)


def test_a_released_key_can_be_claimed_again(make_store: MakeStore) -> None:
    store = make_store(LONG)
    store.release("k", "f", claimed(store))
    claimed(store, "k", "other")


def test_only_the_holder_can_finish_or_release(make_store: MakeStore) -> None:
    store = make_store(LONG)
    claimed(store)
    store.finish("k", "f", "not the ticket", ANSWER)
    store.release("k", "f", "not the ticket")
    store.renew("k", "f", "not the ticket")
    assert store.claim("k", "f").state is IdempotencyState.PENDING


def test_claims_and_answers_expire(make_store: MakeStore) -> None:
    store = make_store(Lifetimes(claim_s=0.05, response_s=0.05))
    claimed(store)
    time.sleep(0.1)
    ticket = claimed(store)
    store.finish("k", "f", ticket, ANSWER)
    time.sleep(0.1)
    claimed(store, "k", "other")


def test_a_claim_holds_while_its_holder_renews_it(make_store: MakeStore) -> None:
    store = make_store(Lifetimes(claim_s=0.4, response_s=100))
    ticket = claimed(store)
    for renewed_with in (ticket, ticket, ticket, "not the ticket"):
        time.sleep(0.2)
        assert store.claim("k", "f").state is IdempotencyState.PENDING
        store.renew("k", "f", renewed_with)
    time.sleep(0.4)
    claimed(store, "k", "other")


def test_renewing_neither_removes_a_response_nor_claims_a_released_key(
    make_store: MakeStore,
) -> None:
    store = make_store(LONG)
    ticket = claimed(store)
    store.finish("k", "f", ticket, ANSWER)
    store.renew("k", "f", ticket)
    assert store.claim("k", "f") == IdempotencyClaim(IdempotencyState.DONE, answer=ANSWER)
    released = claimed(store, "another")
    store.release("another", "f", released)
    store.renew("another", "f", released)
    claimed(store, "another", "other")


def test_one_of_many_concurrent_requests_claims_the_key(make_store: MakeStore) -> None:
    store = make_store(LONG)
    states: list[IdempotencyState] = []

    def work() -> None:
        states.append(store.claim("k", "f").state)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states.count(IdempotencyState.CLAIMED) == 1
    assert states.count(IdempotencyState.PENDING) == 11


class TestReplicas:
    @pytest.fixture
    def replicas(
        self, link: RedisLink, server: RedisServer
    ) -> Iterator[list[RedisIdempotencyStore]]:
        other = RedisLink(server.url, timeout_s=5)
        yield [
            RedisIdempotencyStore(one, LONG, MemoryIdempotencyStore(LONG)) for one in (link, other)
        ]
        other.close()

    def test_another_replica_finds_the_same_state(
        self, replicas: list[RedisIdempotencyStore]
    ) -> None:
        here, there = replicas
        ticket = claimed(here)
        assert there.claim("k", "f").state is IdempotencyState.PENDING
        assert there.claim("k", "other").state is IdempotencyState.DIFFERENT
        here.finish("k", "f", ticket, ANSWER)
        assert there.claim("k", "f") == IdempotencyClaim(IdempotencyState.DONE, answer=ANSWER)

    def test_a_replica_knows_its_own_claims_after_redis_lost_them(
        self, replicas: list[RedisIdempotencyStore], server: RedisServer
    ) -> None:
        here, there = replicas
        ticket = claimed(here)
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
            assert here.claim("k", "f").state is IdempotencyState.PENDING
            here.finish("k", "f", ticket, ANSWER)
            assert there.claim("k", "f").answer == ANSWER
            client.flushall()
        assert here.claim("k", "f").answer == ANSWER

    def test_a_damaged_entry_is_replaced(
        self, replicas: list[RedisIdempotencyStore], server: RedisServer
    ) -> None:
        claimed(replicas[0])
        with redis.Redis.from_url(server.url) as client:
            (name,) = client.keys(f"{KEY_PREFIX}*")
            client.set(name, b'{"fingerprint": "f", "ticket": "t", "status": 200}')
        claimed(replicas[1])

    def test_names_in_redis_do_not_contain_the_keys(
        self, replicas: list[RedisIdempotencyStore], server: RedisServer
    ) -> None:
        claimed(replicas[0], "a-secret-key")
        with redis.Redis.from_url(server.url) as client:
            assert b"secret" not in b"".join(client.keys("*"))


def test_memory_stores_the_newest_responses_within_its_limit() -> None:
    store = MemoryIdempotencyStore(LONG, max_bytes=50_000)
    for number in range(100):
        key = str(number)
        store.finish(key, "f", claimed(store, key), StoredResponse(200, (), b"x" * 4000))
    states = [store.claim(str(number), "f").state for number in range(100)]
    assert states == [IdempotencyState.CLAIMED] * 90 + [IdempotencyState.DONE] * 10
