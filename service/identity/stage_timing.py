"""Measure how long the stages of a use case take."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Measure = Callable[[Mapping[str, float]], None]
"""Receives the milliseconds of stages that ran one after the other until now, in their order."""


def ignore_timings(timings_ms: Mapping[str, float]) -> None:
    """Ignore the timings: the default `Measure`."""


@contextmanager
def timed(stage: str, timings_ms: dict[str, float]) -> Iterator[None]:
    """Add the milliseconds that the block took to `timings_ms`; nothing when it fails."""
    began = time.perf_counter()
    yield
    timings_ms[stage] = (time.perf_counter() - began) * 1000.0


@contextmanager
def measured(stage: str, measure: Measure) -> Iterator[None]:
    """Send the milliseconds that the block took to `measure`; nothing when it fails."""
    timings_ms: dict[str, float] = {}
    with timed(stage, timings_ms):
        yield
    measure(timings_ms)
