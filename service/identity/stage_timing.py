"""How long the stages of a use case take, and who is told."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Measure = Callable[[Mapping[str, float]], None]
"""Is told the milliseconds of stages that ran one after the other until now, in their order."""


def ignore_timings(timings_ms: Mapping[str, float]) -> None:
    """The `Measure` for whom it may concern: nobody."""


@contextmanager
def timed(stage: str, timings_ms: dict[str, float]) -> Iterator[None]:
    """Note how long this took; nothing when it fails."""
    began = time.perf_counter()
    yield
    timings_ms[stage] = (time.perf_counter() - began) * 1000.0


@contextmanager
def measured(stage: str, measure: Measure) -> Iterator[None]:
    """Tell how long this took; nothing when it fails."""
    timings_ms: dict[str, float] = {}
    with timed(stage, timings_ms):
        yield
    measure(timings_ms)
