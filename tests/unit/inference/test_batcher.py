"""The batcher: batches, limits, errors of single items, and closing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.contract.errors import OverloadedError
from service.inference.batcher import Batcher


class Gate:
    """Doubles the items of a batch once it is opened, and records the batches."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, items: list[int]) -> list[int]:
        self.entered.set()
        assert self.opened.wait(10)
        self.batches.append(items)
        if any(item < 0 for item in items):
            raise ValueError(f"negative item in {items}")
        return [2 * item for item in items]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def batcher(gate: Gate, max_batch: int = 4, max_queue: int = 100) -> Batcher[int, int]:
    return Batcher(gate.run, max_batch=max_batch, max_queue=max_queue)


def test_waiting_items_run_together_up_to_the_limit(gate: Gate) -> None:
    queue = batcher(gate)
    first = queue.submit(0)
    assert gate.entered.wait(10)
    others = [queue.submit(i) for i in range(1, 8)]
    assert queue.queue_depth == 7
    gate.opened.set()
    assert first.result(10) == 0
    assert [future.result(10) for future in others] == [2 * i for i in range(1, 8)]
    assert gate.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    queue.close()


def test_items_that_are_queued_together_run_together(gate: Gate) -> None:
    gate.opened.set()
    queue = batcher(gate)
    for first in range(0, 200, 4):
        futures = queue.submit_all(range(first, first + 4))
        assert [future.result(10) for future in futures] == [2 * (first + i) for i in range(4)]
    assert gate.batches == [[first + i for i in range(4)] for first in range(0, 200, 4)]
    queue.close()


def test_items_are_queued_all_or_none(gate: Gate) -> None:
    queue = batcher(gate, max_queue=3)
    running = queue.submit(0)
    assert gate.entered.wait(10)
    accepted = queue.submit_all([1, 2])
    with pytest.raises(OverloadedError, match="2 chips wait in the batcher queue already"):
        queue.submit_all([3, 4])
    assert queue.queue_depth == 2
    gate.opened.set()
    assert [future.result(10) for future in (running, *accepted)] == [0, 2, 4]
    assert [future.result(10) for future in queue.submit_all(range(9))] == list(range(0, 18, 2))
    queue.close()


def test_a_bad_item_fails_alone(gate: Gate) -> None:
    queue = batcher(gate)
    first = queue.submit(0)
    assert gate.entered.wait(10)
    good, bad, better = queue.submit(1), queue.submit(-1), queue.submit(2)
    gate.opened.set()
    assert first.result(10) == 0
    assert good.result(10) == 2
    assert better.result(10) == 4
    with pytest.raises(ValueError, match=r"negative item in \[-1\]"):
        bad.result(10)
    queue.close()


def test_missing_results_are_an_error() -> None:
    queue: Batcher[int, int] = Batcher(lambda _: [], max_batch=2, max_queue=2)
    with pytest.raises(RuntimeError, match="1 items ran, 0 results came back"):
        queue.submit(1).result(10)
    queue.close()


def test_close_finishes_accepted_items_and_rejects_new_ones(gate: Gate) -> None:
    queue = batcher(gate, max_batch=2)
    futures = [queue.submit(i) for i in range(5)]
    closer = threading.Thread(target=queue.close)
    closer.start()
    gate.opened.set()
    closer.join(10)
    assert not closer.is_alive()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(OverloadedError, match="closing"):
        queue.submit(9)
    queue.close()


def test_cancelled_items_are_not_run(gate: Gate) -> None:
    queue = batcher(gate)
    first = queue.submit(0)
    assert gate.entered.wait(10)
    dropped, kept = queue.submit(1), queue.submit(2)
    assert dropped.cancel()
    gate.opened.set()
    assert first.result(10) == 0
    assert kept.result(10) == 4
    queue.close()
    assert gate.batches == [[0], [2]]


def test_listener_is_called_after_every_batch_and_cannot_stop_the_thread(gate: Gate) -> None:
    reports: list[tuple[str, int]] = []

    def listener(lane: str, size: int) -> None:
        reports.append((lane, size))
        raise RuntimeError("broken listener")

    queue: Batcher[int, int] = Batcher(
        gate.run, max_batch=2, max_queue=9, lane="sar", listener=listener
    )
    first = queue.submit(0)
    assert gate.entered.wait(10)
    others = [queue.submit(i) for i in range(1, 4)]
    gate.opened.set()
    for future in (first, *others):
        future.result(10)
    queue.close()
    assert reports == [("sar", 1), ("sar", 2), ("sar", 1)]


def test_results_do_not_mix_under_load() -> None:
    queue: Batcher[int, int] = Batcher(
        lambda items: [item * item for item in items], max_batch=7, max_queue=500
    )
    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(lambda i: queue.submit(i).result(10), range(500)))
    queue.close()
    assert results == [i * i for i in range(500)]


@pytest.mark.parametrize("option", ["max_batch", "max_queue"])
def test_limits_must_be_positive(gate: Gate, option: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        batcher(gate, **{option: 0})
