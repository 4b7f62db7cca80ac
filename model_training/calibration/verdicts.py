"""Choose the threshold of each verdict by gallery size, and measure how often each is right.

Thresholds are chosen on validation ships, for each gallery size apart, by the share of answers that
are right (`VerdictPoint` says what right means):

* `likely`: the lowest probability of the first vessel, not below one half, from which at least
  `MIN_RIGHT["likely"]` of the answers below the `confident` threshold are right.
* `no_match`: the lowest probability of "none of them", not below one half, from which at least
  `MIN_RIGHT["no_match"]` of the answers are right.
* `ambiguous`: the lowest sum of the most probable outcomes from which at least
  `MIN_RIGHT["ambiguous"]` of the answers that get it are right.

A verdict without such a threshold, or with fewer than `MIN_ANSWERS` answers, has no point and is
not given at that size. `unclear` is the rest; its rate says how often its first vessel is right.

Shapes: S searches, M weighed candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from model_training.calibration.candidate_probabilities import candidate_probabilities
from model_training.calibration.searches import Searches
from model_training.evaluation.metrics import Estimate, share_of_right
from service.contract.weighing.specs import (
    CalibrationSpec,
    ChoiceSpec,
    ConfidentPoint,
    VerdictName,
    VerdictPoint,
)
from service.contract.weighing.verdicts import Thresholds, decide, thresholds_of

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
MIN_RIGHT: Mapping[VerdictName, float] = {"likely": 0.75, "no_match": 0.9, "ambiguous": 0.8}
MIN_ANSWERS = 20
_GRID = np.round(np.arange(0.5, 1.0, 0.01), 2)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """The probabilities of S answers, and the truth.

    Attributes:
        query_ids: int64 `[S]`.
        probability: float64 `[S, 1 + M]`, "none of them" first.
        truth: int64 `[S]`, the column that is true; -1 if the ship is enrolled but was not weighed.
    """

    query_ids: NDArray[np.int64]
    probability: Floats
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rated:
    """How often a verdict is given, 0 to 1, and how often it is right; None if it never was."""

    share: float
    answers: int
    right: Estimate | None


def answers_of(searches: Searches, spec: ChoiceSpec) -> Answers:
    """Return the probabilities of the candidates of searches, and which outcome is true."""
    found = searches.correct.any(axis=1)
    truth = np.where(found, 1 + searches.correct.argmax(axis=1), -1)
    return Answers(
        query_ids=searches.query_ids,
        probability=candidate_probabilities(searches, spec),
        truth=np.where(searches.enrolled, truth, 0),
    )


def given(answers: Answers, thresholds: Thresholds) -> tuple[NDArray[np.str_], Bools]:
    """Return the verdict str `[S]` of each answer, and whether it is right, bool `[S]`."""
    decided = decide(answers.probability, thresholds)
    verdicts = np.array(decided.verdicts, np.str_)
    order = np.argsort(-answers.probability, axis=1, kind="stable")
    place = (order == answers.truth[:, None]).argmax(axis=1)
    weighed = answers.truth >= 0
    first = 1 + answers.probability[:, 1:].argmax(axis=1) == answers.truth
    right = np.where(verdicts == "no_match", answers.truth == 0, first)
    among = weighed & (place < decided.named)
    return verdicts, np.where(verdicts == "ambiguous", among, right)


def rate_verdicts(answers: Answers, thresholds: Thresholds) -> dict[VerdictName, Rated]:
    """Measure how often each verdict is given and right."""
    verdicts, right = given(answers, thresholds)
    rated: dict[VerdictName, Rated] = {}
    for verdict in VERDICTS:
        of_verdict = verdicts == verdict
        count = int(of_verdict.sum())
        estimate = None
        if count:
            estimate = share_of_right(right[of_verdict], answers.query_ids[of_verdict])
        rated[verdict] = Rated(float(of_verdict.mean()), count, estimate)
    return rated


def choose_points(
    searches: Searches, spec: ChoiceSpec, confident: Sequence[ConfidentPoint], measured_on: str
) -> tuple[VerdictPoint, ...]:
    """Choose and rate the thresholds of each gallery size by the rules of the docstring above.

    Args:
        searches: of validation ships.
        confident: the thresholds of `confident`.
    """
    confident_from = {point.gallery_vessels: point.threshold for point in confident}
    points: list[VerdictPoint] = []
    for size in np.unique(searches.gallery_vessels).tolist():
        answers = answers_of(searches.of_size(size), spec)
        thresholds = Thresholds(confident_from.get(size), None, None, None)
        for verdict in MIN_RIGHT:
            threshold = _lowest(answers, thresholds, verdict)
            thresholds = _with(thresholds, verdict, threshold)
        points += _points(answers, thresholds, size, measured_on)
    return tuple(points)


def measure_points(
    searches: Searches, calibration: CalibrationSpec, measured_on: str
) -> tuple[VerdictPoint, ...]:
    """Measure how often verdicts are right with the thresholds of a calibration, on other ships.

    Gallery sizes that these ships cannot fill, and verdicts that they never get, keep the rates of
    the calibration.
    """
    points = {(point.verdict, point.gallery_vessels): point for point in calibration.verdicts}
    sizes = {point.gallery_vessels for point in calibration.verdicts}
    for size in np.unique(searches.gallery_vessels).tolist():
        if size in sizes:
            answers = answers_of(searches.of_size(size), calibration.match)
            thresholds = thresholds_of(calibration, size, allow_confident=True)
            for point in _points(answers, thresholds, size, measured_on):
                if (point.verdict, size) in points:
                    points[point.verdict, size] = point
    return tuple(points.values())


def _lowest(answers: Answers, thresholds: Thresholds, verdict: VerdictName) -> float | None:
    """Return the lowest threshold of the grid at which the verdict is right often enough."""
    for threshold in _GRID.tolist():
        verdicts, right = given(answers, _with(thresholds, verdict, threshold))
        of_verdict = verdicts == verdict
        if of_verdict.sum() < MIN_ANSWERS:
            return None
        if right[of_verdict].mean() >= MIN_RIGHT[verdict]:
            return float(threshold)
    return None


def _with(thresholds: Thresholds, verdict: VerdictName, threshold: float | None) -> Thresholds:
    match verdict:
        case "likely":
            return replace(thresholds, likely=threshold)
        case "no_match":
            return replace(thresholds, no_match=threshold)
        case "ambiguous":
            return replace(thresholds, ambiguous=threshold)
        case "confident" | "unclear":
            raise ValueError(f"the threshold of {verdict} is not chosen by the share of right ones")


def _points(
    answers: Answers, thresholds: Thresholds, size: int, measured_on: str
) -> list[VerdictPoint]:
    """Rate each verdict that the answers about at least two ships get."""
    chosen: dict[VerdictName, float | None] = {
        "confident": thresholds.confident,
        "likely": thresholds.likely,
        "ambiguous": thresholds.ambiguous,
        "no_match": thresholds.no_match,
        "unclear": 0.0,
    }
    points = []
    for verdict, rated in rate_verdicts(answers, thresholds).items():
        threshold = chosen[verdict]
        if threshold is not None and rated.right is not None and rated.right.low is not None:
            low, high = rated.right.ends
            points.append(
                VerdictPoint(
                    verdict=verdict,
                    gallery_vessels=size,
                    threshold=threshold,
                    right=rated.right.value,
                    right_low=low,
                    right_high=high,
                    answers=rated.answers,
                    measured_on=measured_on,
                )
            )
    return points
