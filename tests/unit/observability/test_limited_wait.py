"""A caller waits for a function only so long."""

import threading
import time

import pytest

from service.observability.limited_wait import LimitedWait

LONG_S = 30.0


def test_it_waits_for_the_end_of_a_run() -> None:
    done: list[int] = []
    run = LimitedWait("test", lambda: done.append(1), LONG_S)
    run()
    run()
    assert done == [1, 1]


def test_it_raises_the_error_of_the_run() -> None:
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        LimitedWait("test", fail, LONG_S)()


def test_after_the_limit_the_run_goes_on_and_no_other_begins() -> None:
    released = threading.Event()
    begun: list[None] = []

    def hang() -> None:
        begun.append(None)
        released.wait(LONG_S)

    run = LimitedWait("test", hang, limit_s=0.01)
    began = time.monotonic()
    run()
    run()
    assert time.monotonic() - began < LONG_S
    assert len(begun) == 1
    released.set()
    while len(begun) == 1 and time.monotonic() - began < LONG_S:
        run()
    assert len(begun) == 2
