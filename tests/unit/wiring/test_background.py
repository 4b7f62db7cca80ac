"""A repeated task goes on after failures, and ends when the process does."""

import logging
import threading

import pytest

from service.identity.errors import StoreUnavailableError
from service.wiring.background import RepeatedTask


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
