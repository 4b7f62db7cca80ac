"""Time two ways of doing one task alternately, so that noise of the machine affects both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Median milliseconds for one unit of work in each of two ways."""

    name: str
    ours: str
    ours_ms: float
    other: str
    other_ms: float

    @property
    def ratio(self) -> float:
        """Return how many times faster `ours` is than `other`."""
        return self.other_ms / self.ours_ms


def compare(
    name: str,
    ours: tuple[str, Callable[[], object]],
    other: tuple[str, Callable[[], object]],
    units: int = 1,
    rounds: int = 7,
) -> Comparison:
    """Run both alternately for `rounds` rounds after one warm-up each.

    Args:
        name: of the task.
        ours: label and function of one way.
        other: label and function of the other way.
        units: units of work that one call does.
        rounds: timed calls of each.
    """
    durations_ms: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for way, (_, work) in enumerate((ours, other)):
            started = time.perf_counter()
            work()
            if number:  # the first round is the warm-up
                durations_ms[way].append((time.perf_counter() - started) * 1000.0 / units)
    ours_ms, other_ms = (float(np.median(durations)) for durations in durations_ms)
    return Comparison(name, ours[0], ours_ms, other[0], other_ms)
