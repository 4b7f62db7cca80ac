"""Calls to a Qdrant server: what is repeated, where, for how long, and how errors are told."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial

import pytest
from qdrant_client import QdrantClient

from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.retry_budget import one_retry_budget
from service.storage.server.connection import LINKS_TO_ONE_ADDRESS, ServerConnection
from service.storage.server.repeating import CallWatch
from tests.support.doubles.qdrant_http import QdrantDouble, RefusedError, running_qdrant

SLOW_MACHINE_S = 30.0


@pytest.fixture
def doubles() -> Iterator[list[QdrantDouble]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running_qdrant()) for _ in range(2)]


class Calls:
    """Fails the first calls of a double, and counts all of them."""

    def __init__(self, failures: int, fail: Callable[[], None]) -> None:
        self.made = 0
        self._failures = failures
        self._fail = fail

    def __call__(self, request: str) -> None:
        self.made += 1
        if self.made <= self._failures:
            self._fail()


def refuse(status: int, message: str) -> Callable[[], None]:
    def fail() -> None:
        raise RefusedError(status, message)

    return fail


def disconnect() -> None:
    raise ConnectionAbortedError("the node is killed")


def collections(client: QdrantClient) -> int:
    return len(client.get_collections().collections)


PASSING = [
    refuse(502, "bad gateway"),
    refuse(503, "no healthy upstream"),
    refuse(500, "Service internal error: 0 of 0 read operations failed"),
    refuse(
        500,
        "Service internal error: The replica set for shard 1 on peer 7 does not have enough "
        "active replicas",
    ),
    refuse(
        500,
        "Service internal error: Failed to apply update with Medium ordering via leader peer 3: "
        "Service internal error: Tonic status error: transport error",
    ),
    refuse(404, "Not found: Collection `crossfix-vessels` doesn't exist!"),
    disconnect,
]


@pytest.mark.parametrize("failure", PASSING)
def test_a_call_that_may_succeed_later_is_repeated_and_counted(
    doubles: list[QdrantDouble], failure: Callable[[], None]
) -> None:
    doubles[0].before = calls = Calls(2, failure)
    retries: list[None] = []
    watch = CallWatch(lambda: retries.append(None))
    with closing(ServerConnection(doubles[0].url, watch=watch)) as connection:
        assert connection.call(collections) == 0
    assert calls.made == 3
    assert len(retries) == 2


LASTING = [
    refuse(400, "Wrong input: no"),
    refuse(500, "Service internal error: a defect"),
    refuse(401, "Must provide an API key"),
    refuse(404, "no such page"),
]


@pytest.mark.parametrize("failure", LASTING)
def test_other_failures_are_reported_at_once(
    doubles: list[QdrantDouble], failure: Callable[[], None]
) -> None:
    doubles[0].before = calls = Calls(99, failure)
    with (
        closing(ServerConnection(doubles[0].url)) as connection,
        pytest.raises(StoreUnavailableError),
    ):
        connection.call(collections)
    assert calls.made == 1


def test_a_full_disk_is_reported_at_once(doubles: list[QdrantDouble]) -> None:
    full = "Service internal error: 1 of 1 read operations failed: No space left on device"
    doubles[0].before = calls = Calls(99, refuse(500, full))
    with closing(ServerConnection(doubles[0].url)) as connection, pytest.raises(StoreFullError):
        connection.call(collections)
    assert calls.made == 1


def test_a_call_goes_to_another_address_and_stays_there(doubles: list[QdrantDouble]) -> None:
    dead, alive = (Calls(99, disconnect), Calls(0, disconnect))
    doubles[0].before, doubles[1].before = dead, alive
    with closing(ServerConnection([one.url for one in doubles])) as connection:
        for _ in range(5):
            assert connection.call(collections) == 0
    assert dead.made <= 1
    assert alive.made == 5


def test_an_outage_is_reported_within_the_budget_and_then_at_once(
    doubles: list[QdrantDouble],
) -> None:
    doubles[0].before = calls = Calls(10**9, disconnect)
    with closing(ServerConnection(doubles[0].url, timeout_s=0.3)) as connection:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            connection.call(collections)
        assert time.monotonic() - began > 0.1
        assert calls.made > 2, "it was repeated"
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:
            before = calls.made
            with pytest.raises(StoreUnavailableError):
                connection.call(collections)
            tried = calls.made - before
        assert tried <= LINKS_TO_ONE_ADDRESS, "after the budget, an outage is not waited for"
        doubles[0].before = lambda _: None
        assert connection.call(collections) == 0
        doubles[0].before = again = Calls(1, disconnect)
        assert connection.call(collections) == 0
        assert again.made == 2, "calls are repeated again once one has succeeded"


def test_the_calls_of_a_request_share_its_budget(doubles: list[QdrantDouble]) -> None:
    """Every second call fails: each would have a budget of its own, the request has one."""
    limit_s = 2 * 0.2
    failing = False

    def fail_slowly_in_turn(_: str) -> None:
        nonlocal failing
        failing = not failing
        if failing:
            time.sleep(0.05)
            disconnect()

    doubles[0].before = fail_slowly_in_turn
    with closing(ServerConnection(doubles[0].url, timeout_s=0.2)) as connection:
        with one_retry_budget() as budget, suppress(StoreUnavailableError):
            for _ in range(100):
                connection.call(collections)
            raise AssertionError("the budget has no end")
        assert limit_s / 2 < budget.spent_s < SLOW_MACHINE_S
        failing = False
        for _ in range(10):
            connection.call(collections)


def test_calls_at_the_same_time_spend_the_budget_once() -> None:
    with one_retry_budget() as budget:
        assert budget.spend(1.0, 3.0) == 2.0
        assert budget.spend(2.0, 3.5) == 2.5
        assert budget.spend(1.5, 3.0) == 2.5
        assert budget.spend(9.0, 9.5) == 3.0


def test_an_outage_is_known_to_all_stores_of_a_process(doubles: list[QdrantDouble]) -> None:
    doubles[0].before = Calls(10**9, disconnect)
    watch = CallWatch()
    with (
        closing(ServerConnection(doubles[0].url, timeout_s=1.0, watch=watch)) as one,
        closing(ServerConnection(doubles[0].url, timeout_s=1.0, watch=watch)) as other,
    ):
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            with pytest.raises(StoreUnavailableError):
                one.call(collections)
        doubles[0].before = calls = Calls(10**9, disconnect)
        with pytest.raises(StoreUnavailableError):
            other.call(collections, needs_most=True)
        assert calls.made <= LINKS_TO_ONE_ADDRESS


def test_failing_writes_are_not_hidden_by_reads_that_succeed() -> None:
    watch = CallWatch()
    assert watch.failed(True, 9.0) < 1.0
    time.sleep(0.1)
    watch.succeeded(False)
    assert watch.failed(False, 9.0) < 0.1, "reads have succeeded in between"
    assert watch.failed(True, 9.0) >= 0.1
    watch.succeeded(True)
    assert watch.failed(True, 9.0) < 0.1
    time.sleep(0.05)
    assert watch.failed(True, 0.01) < 0.05, "the last failure is too long ago"


def test_connections_are_kept(doubles: list[QdrantDouble]) -> None:
    opened: list[object] = []
    real = doubles[0].get_request

    def get_request() -> object:
        request = real()
        opened.append(request)
        return request

    doubles[0].get_request = get_request  # type: ignore[method-assign,assignment]
    with closing(ServerConnection(doubles[0].url)) as connection:
        for _ in range(10):
            connection.call(collections)
    assert len(opened) == 1


def slowly(number: int) -> int:
    time.sleep(0.4)
    return number


def test_reads_are_made_at_the_same_time(doubles: list[QdrantDouble]) -> None:
    with closing(ServerConnection(doubles[0].url)) as connection:
        began = time.monotonic()
        got = connection.gather(*(partial(slowly, n) for n in range(3)))
        assert got == [0, 1, 2]
        assert time.monotonic() - began < 1.0
