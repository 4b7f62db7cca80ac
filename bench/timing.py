"""Timing two ways of doing one thing, by turns, so that a noisy machine is noisy to both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Milliseconds for one unit of work, median of the rounds, two ways."""

    name: str
    ours: str
    ours_ms: float
    other: str
    other_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.other_ms / self.ours_ms


def compare(
    name: str,
    ours: tuple[str, Callable[[], object]],
    other: tuple[str, Callable[[], object]],
    units: int = 1,
    rounds: int = 7,
) -> Comparison:
    """Run both by turns after one warm-up each; `units` of work are done by one call."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for place, (_, work) in enumerate((ours, other)):
            began = time.perf_counter()
            work()
            if turn:
                taken[place].append((time.perf_counter() - began) * 1000.0 / units)
    return Comparison(
        name, ours[0], float(np.median(taken[0])), other[0], float(np.median(taken[1]))
    )
