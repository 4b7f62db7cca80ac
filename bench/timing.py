"""Time two ways of doing one task alternately, so that noise of the machine affects both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ROUNDS = 7


@dataclass(frozen=True)
class Comparison:
    """Median milliseconds for one unit of work in each of two ways.

    Attributes:
        name: of the task.
        ours: how we do it.
        reference: the other way.
        ratio: how many times faster `ours` is: the median over the rounds.
        ratio_low, ratio_high: the smallest and the largest ratio of one round.
    """

    name: str
    ours: str
    ours_ms: float
    reference: str
    reference_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float


def compare(
    name: str,
    ours: tuple[str, Callable[[], object]],
    reference: tuple[str, Callable[[], object]],
    units: int = 1,
) -> Comparison:
    """Run both alternately for `ROUNDS` rounds after one warm-up each.

    Args:
        name: of the task.
        ours: label and function of one way.
        reference: label and function of the other way.
        units: units of work that one call does.
    """
    timed = [
        [_milliseconds(work) / units for _, work in (ours, reference)] for _ in range(ROUNDS + 1)
    ]
    rounds = np.array(timed[1:])  # [ROUNDS, 2]; the first round is the warm-up
    ours_ms, reference_ms = np.median(rounds, axis=0).tolist()
    ratios = rounds[:, 1] / rounds[:, 0]
    low, ratio, high = np.quantile(ratios, (0.0, 0.5, 1.0)).tolist()
    return Comparison(name, ours[0], ours_ms, reference[0], reference_ms, ratio, low, high)


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000.0
