"""Choose and measure operating points of a gallery search whose ship may not be enrolled.

At a false-identification rate (FPIR) of f, the threshold is set so that at most a share f of the
queries whose vessel is not enrolled get any candidate at all; the identification rate (TPIR, rank
1) is the share of enrolled queries whose first candidate is right and reaches the threshold.
Source: Grother and Ngan, FRVT Part 2 (NIST IR 8271), open-set identification.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.metrics import Estimate, draw_identities, interval_95

DRAWS = 500  # of the bootstrap
FALSE_IDENTIFICATION_RATES = (0.01, 0.05)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FirstAnswers:
    """The first candidate of each search, as the service would rank it.

    Attributes:
        query_ids: int64 `[S]`.
        enrolled: bool `[S]`, whether the right vessel was in the gallery.
        correct: bool `[S]`, whether the first candidate is the right vessel.
        probability: float64 `[S]`, of the first candidate.
        none: float64 `[S]`, of none of the candidates.
    """

    query_ids: NDArray[np.int64]
    enrolled: Bools
    correct: Bools
    probability: Floats
    none: Floats


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Rates from 0 to 1 at one threshold on the first candidate's probability.

    Attributes:
        threshold: of the first candidate's probability.
        false_identification: share of the searches for ships not enrolled that got a candidate.
        identification: share of the searches for enrolled ships that got the right candidate.
        strangers: number of searches for ships not enrolled.
        enrolled: number of searches for enrolled ships.
    """

    threshold: float
    false_identification: Estimate
    identification: Estimate
    strangers: int
    enrolled: int


def choose_point(
    answers: FirstAnswers, rate: float, draws: int = DRAWS, seed: int = 0
) -> OperatingPoint:
    """Choose the lowest threshold that keeps false identifications at or below `rate`.

    The bootstrap draws identities and chooses the threshold again in each draw.

    Raises:
        ValueError: see `measure_point`.
    """
    ones = np.ones(answers.probability.size)
    _require_both(answers)
    rates = [
        _rates(answers, weights, _threshold(answers, weights, rate))
        for weights in _usable_draws(answers, draws, seed)
    ]
    return _point(answers, _threshold(answers, ones, rate), rates)


def measure_point(answers: FirstAnswers, threshold: float, seed: int = 0) -> OperatingPoint:
    """Measure what a threshold that was chosen on other searches achieves on these.

    Raises:
        ValueError: there are no enrolled or no unenrolled queries, or only one identity.
    """
    _require_both(answers)
    rates = [_rates(answers, weights, threshold) for weights in _usable_draws(answers, DRAWS, seed)]
    return _point(answers, threshold, rates)


def _point(
    answers: FirstAnswers, threshold: float, draws: list[tuple[float, float]]
) -> OperatingPoint:
    """Return the rates of all searches, with intervals from the bootstrap draws of `_rates`."""
    ships = np.unique(answers.query_ids).size
    values = _rates(answers, np.ones(answers.probability.size), threshold)
    false_identification, identification = (
        Estimate(value, *interval_95(drawn, ships))
        for value, drawn in zip(values, np.array(draws).T, strict=True)
    )
    enrolled = int(answers.enrolled.sum())
    return OperatingPoint(
        threshold=threshold,
        false_identification=false_identification,
        identification=identification,
        strangers=answers.enrolled.size - enrolled,
        enrolled=enrolled,
    )


def _require_both(answers: FirstAnswers) -> None:
    if answers.enrolled.all() or not answers.enrolled.any():
        raise ValueError("an operating point needs queries with and without an enrolled vessel")
    if np.unique(answers.query_ids).size < 2:
        raise ValueError("an operating point needs queries of at least two vessels")


def _usable_draws(answers: FirstAnswers, draws: int, seed: int) -> Iterator[Floats]:
    """Yield bootstrap weights float64 `[S]`, skipping draws without both kinds of query."""
    enrolled = answers.enrolled
    names, index = np.unique(answers.query_ids, return_inverse=True)
    for counts in draw_identities(names.size, draws, seed):
        weights = counts[index]
        if weights[enrolled].any() and weights[~enrolled].any():
            yield weights


def _threshold(answers: FirstAnswers, weights: Floats, rate: float) -> float:
    """Return the number just above the highest score that would accept too many strangers.

    Too many are more than the share `rate` of the weighted searches for ships not enrolled.
    """
    strangers = ~answers.enrolled
    scores, counts = answers.probability[strangers], weights[strangers]
    order = np.argsort(-scores, kind="stable")
    scores, accepted = scores[order], np.cumsum(counts[order])
    too_many = np.flatnonzero(accepted > rate * counts.sum() + 1e-9)  # 1e-9: rounding of the sum
    return float(np.nextafter(scores[too_many[0]], np.inf))


def _rates(answers: FirstAnswers, weights: Floats, threshold: float) -> tuple[float, float]:
    """Return false identification and identification of weighted searches, 0 to 1."""
    enrolled, strangers = answers.enrolled, ~answers.enrolled
    accepted = answers.probability >= threshold
    false = weights[strangers & accepted].sum() / weights[strangers].sum()
    right = weights[enrolled & accepted & answers.correct].sum() / weights[enrolled].sum()
    return float(false), float(right)
