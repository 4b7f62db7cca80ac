"""Turn the probabilities of an answer into its verdict; training and serving share these rules.

Shapes: S answers, M candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract.weighing.specs import CalibrationSpec, VerdictName, VerdictPoint

MAX_NAMED = 5
"""How many outcomes ("none of them" is one) an `ambiguous` answer names at most."""

LIKELY_FROM = 0.6
NO_MATCH_FROM = 0.8
AMBIGUOUS_FROM = 0.8
"""The thresholds of bundles that were calibrated before each verdict had a measured one."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The probabilities that separate the verdicts; None where a verdict is never given.

    Attributes:
        confident: of the first vessel.
        likely: of the first vessel.
        no_match: of "none of them".
        ambiguous: of the most probable outcomes together, at most `MAX_NAMED`.
        no_match_below: of the first vessel; below it the answer is `no_match` too, if "none of
            them" holds at least half of the probability. 0 in bundles with a measured `no_match`.
    """

    confident: float | None = None
    likely: float | None = LIKELY_FROM
    no_match: float | None = NO_MATCH_FROM
    ambiguous: float | None = AMBIGUOUS_FROM
    no_match_below: float = 0.0


def thresholds_of(calibration: CalibrationSpec, vessels: int, allow_confident: bool) -> Thresholds:
    """Return the thresholds for a gallery of `vessels`.

    A bundle without measured verdicts gets `LIKELY_FROM`, `NO_MATCH_FROM` and `AMBIGUOUS_FROM`,
    and keeps its own `no_match_below`.
    """
    confident = calibration.confident_threshold(vessels) if allow_confident else None
    if not calibration.verdicts:
        return Thresholds(confident, no_match_below=calibration.no_match_below)

    def threshold(verdict: VerdictName) -> float | None:
        point = measured_point(calibration, verdict, vessels)
        return None if point is None else point.threshold

    return Thresholds(confident, threshold("likely"), threshold("no_match"), threshold("ambiguous"))


def measured_point(
    calibration: CalibrationSpec, verdict: VerdictName, vessels: int
) -> VerdictPoint | None:
    """Return the point of the smallest measured gallery that is as large, else of the largest.

    None if the verdict has no point for that gallery: it is not given there.
    """
    sizes = sorted({point.gallery_vessels for point in calibration.verdicts})
    if not sizes:
        return None
    size = next((size for size in sizes if vessels <= size), sizes[-1])
    for point in calibration.verdicts:
        if (point.verdict, point.gallery_vessels) == (verdict, size):
            return point
    return None


@dataclass(frozen=True, slots=True)
class Decided:
    """The verdicts of S answers.

    Attributes:
        named: int64 `[S]`, how many of the most probable outcomes an ambiguous answer names; 0
            for the other verdicts.
    """

    verdicts: Sequence[VerdictName]
    named: NDArray[np.int64]


def decide(probability: NDArray[np.float64], thresholds: Thresholds) -> Decided:
    """Return the verdict of each answer.

    `confident` and `likely`: the first vessel holds enough of the probability. `no_match`: "none
    of them" does. `ambiguous`: at most `MAX_NAMED` outcomes hold enough together. `unclear`: the
    probability is spread over more outcomes than that.

    Args:
        probability: float64 `[S, 1 + M]`, rows that sum to one: "none of them" first, then the
            candidates in any order.
        thresholds: see `Thresholds`.
    """
    none = probability[:, 0]
    first = probability[:, 1:].max(axis=1, initial=0.0)
    held = np.cumsum(-np.sort(-probability, axis=1)[:, :MAX_NAMED], axis=1)  # [S, <= MAX_NAMED]
    enough = held >= _or_never(thresholds.ambiguous) - 1e-12  # 1e-12: rounding of the sum
    named = np.where(enough.any(axis=1), 1 + enough.argmax(axis=1), 0)
    rejected = (none >= _or_never(thresholds.no_match)) | (
        (none >= 0.5) & (first < thresholds.no_match_below)
    )
    verdicts: list[VerdictName] = []
    for i in range(len(probability)):
        if first[i] >= _or_never(thresholds.confident):
            verdicts.append("confident")
        elif first[i] >= _or_never(thresholds.likely):
            verdicts.append("likely")
        elif rejected[i]:
            verdicts.append("no_match")
        else:
            verdicts.append("ambiguous" if named[i] else "unclear")
    ambiguous = np.array([verdict == "ambiguous" for verdict in verdicts], np.bool_)
    return Decided(verdicts, np.where(ambiguous, named, 0).astype(np.int64))


def _or_never(threshold: float | None) -> float:
    return np.inf if threshold is None else threshold
