"""A repeated task goes on after failures, and ends when the process does."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from service.identity.errors import StoreUnavailableError
from service.wiring.active_bundle import ActiveBundle, ServedBundle
from service.wiring.background import RepeatedTask, ask_again_when_quiet


@pytest.mark.parametrize(
    ("error", "trace"), [(StoreUnavailableError("away"), False), (ValueError("a defect"), True)]
)
def test_a_task_that_fails_is_done_again(
    caplog: pytest.LogCaptureFixture, error: Exception, trace: bool
) -> None:
    stopping, runs = threading.Event(), list[int]()

    def work() -> bool:
        runs.append(len(runs))
        if len(runs) == 1:
            raise error
        if len(runs) == 3:
            stopping.set()
        return True

    RepeatedTask("a", work, 0.01, "it failed").run(stopping)
    assert runs == [0, 1, 2]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("it failed")
    assert bool(record.exc_info) == trace


def test_a_task_that_waits_first_is_not_begun_in_a_process_that_ends() -> None:
    stopping, runs = threading.Event(), list[int]()

    def work() -> bool:
        runs.append(1)
        return False

    stopping.set()
    RepeatedTask("a", work, 60.0, "it failed", waits_first=True).run(stopping)
    assert not runs


@dataclass
class Comparing:
    """A bundle whose work is to ask whether it is to stop."""

    asked: list[bool] = field(default_factory=list)

    def active(self) -> ActiveBundle:
        resources: Any = SimpleNamespace(close=lambda: None)
        routes: Any = None
        return ActiveBundle(ServedBundle(resources, lambda: 0, routes, self.ask_again))

    def ask_again(self, stopped: Callable[[], bool]) -> int:
        self.asked.append(stopped())
        return 1


def test_open_sightings_are_compared_when_nobody_changes_anything() -> None:
    comparing = Comparing()
    active, stopping = comparing.active(), threading.Event()
    assert ask_again_when_quiet(active, stopping, 0.2)
    with active.posting():
        asking = threading.Thread(target=ask_again_when_quiet, args=(active, stopping, 0.2))
        asking.start()
        asking.join(0.5)
        assert asking.is_alive()
        assert comparing.asked == [False]
    ended = time.monotonic()
    asking.join(60)
    assert time.monotonic() - ended >= 0.2
    assert comparing.asked == [False, False]


def test_open_sightings_are_compared_although_somebody_always_changes_something() -> None:
    comparing = Comparing()
    active = comparing.active()
    with active.posting():
        assert ask_again_when_quiet(active, threading.Event(), 0.1, longest_postponement_s=0.2)
    assert comparing.asked == [False]


def test_comparing_stops_when_somebody_changes_something() -> None:
    comparing = Comparing()
    active = comparing.active()

    def ask_again(stopped: Callable[[], bool]) -> int:
        with active.posting():
            return comparing.ask_again(stopped)

    active.current.ask_again = ask_again
    ask_again_when_quiet(active, threading.Event(), 0.2)
    assert comparing.asked == [True]
