"""Fit a bundle's calibration on validation ships, and measure it on ships it has not seen.

Searches are replayed as the service runs them (`calibration.searches`); in half of them the
query's vessel is not enrolled. Candidates compete with each other and with "none of them"
(`calibration.candidate_probabilities`); lone pairs are weighed by logistic regression
(`calibration.logistic`). Verdict thresholds follow from the first candidates of searches across
sensors:

* `confident` has, for each gallery size, the lowest probability, not below one half, at which the
  answers that reach it are right in at least 95 % of cases by the lower end of the 95 % interval
  over ships (`metrics.share_of_right`); a size for which no probability achieves that has none.
  `confident_from` is the lowest of them, and 1 without any.
* `context` are the likelihood ratios of registers, types and voyages (`calibration.context`), and
  `match_several` the weights of several chips of one ship (`calibration.several_chips`).
* `verdicts` are the thresholds and rates of all verdicts (`calibration.verdicts`).

The similarities of first candidates are counted as well, so that a service can compare them with
those of its live searches.
"""

import numpy as np

from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.context import fit_context
from model_training.calibration.logistic import fit_logistic
from model_training.calibration.open_set import (
    FALSE_IDENTIFICATION_RATES,
    FirstAnswers,
    choose_point,
)
from model_training.calibration.searches import Searches
from model_training.calibration.trials import (
    ACROSS,
    FIT_SIZES,
    MIN_VESSELS,
    REPORTED_SIZES,
    Trials,
    count_first,
    first_answers,
    replay,
)
from model_training.calibration.verdicts import choose_points
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import share_of_right
from service.contract.similarity import SIMILARITY_EDGES
from service.contract.weighing.specs import (
    CalibrationSpec,
    ChoiceSpec,
    ConfidentPoint,
    OpenSetPoint,
    SimilaritySpec,
)

MIN_CONFIDENT_PRECISION = 0.95
_THRESHOLDS = np.round(np.arange(0.5, 1.0, 0.001), 3)
_MIN_ANSWERS = 20


class CalibrationError(Exception):
    """The validation data do not suffice for a calibration; the message says what would."""


def fit(
    across: Trials,
    within: Trials | None,
    fitted_on: str,
    seed: int = 0,
    real_share: float = 0.0,
    several: Searches | None = None,
) -> CalibrationSpec:
    """Fit the calibration of a bundle.

    Args:
        across: trials across sensors on validation ships.
        within: trials within each sensor; None if the service shall only compare across sensors.
        fitted_on: name of the validation data, e.g. `simulated validation ids`.
        real_share: share of genuine chips among the validation chips, 0 to 1.
        several: searches with several chips of one ship, see `several_chips.replay_several`.

    Raises:
        ValueError: the trials do not hold both right and wrong answers.
    """
    match = fit_choice(across.searches)
    match_same_sensor = fit_choice(within.searches) if within else None
    similarities = count_first(across.searches, match)
    if within and match_same_sensor:
        similarities += count_first(within.searches, match_same_sensor)
    confident = choose_confident_points(across.searches, match)
    confident_from = min((point.threshold for point in confident), default=1.0)
    return CalibrationSpec(
        match=match,
        verify=fit_logistic(across.pairs.evidence, across.pairs.correct),
        match_same_sensor=match_same_sensor,
        match_several=fit_choice(several) if several else None,
        context=fit_context(across.searches, match, fitted_on, seed),
        verify_same_sensor=(
            fit_logistic(within.pairs.evidence, within.pairs.correct) if within else None
        ),
        confident=confident,
        confident_from=confident_from,
        real_share=real_share,
        verdicts=choose_points(across.searches, match, confident, fitted_on),
        fitted_on=fitted_on,
        operating_points=_operating_points(across.searches, match, seed),
        similarities=SimilaritySpec(edges=SIMILARITY_EDGES, searches=similarities),
    )


def require_trials(
    table: ChipTable, per_size: int = 2000, seed: int = 0, *, preference: float = np.inf
) -> Trials:
    """Replay trials across sensors, see `trials.replay`.

    Raises:
        CalibrationError: there are fewer than `MIN_VESSELS` ships with chips of both sensors.
    """
    trials = replay(table, ACROSS, per_size, seed, preference=preference)
    if trials is None:
        raise CalibrationError(
            f"calibration needs at least {MIN_VESSELS} ships with both optical and SAR chips; "
            "give a folder with more validation ships"
        )
    return trials


def choose_confident_points(searches: Searches, spec: ChoiceSpec) -> tuple[ConfidentPoint, ...]:
    """Choose the threshold of each gallery size by the rule of the module's docstring.

    The sizes form a chain from the smallest: the first size without a threshold ends it, so that
    no large gallery is called easier than a smaller one.
    """
    points: list[ConfidentPoint] = []
    for size in FIT_SIZES:
        of_size = searches.of_size(size)
        if not of_size.query_ids.size:
            continue
        point = _confident_point(first_answers(of_size, spec), size)
        if point is None:
            break
        points.append(point)
    return tuple(points)


def _confident_point(answers: FirstAnswers, size: int) -> ConfidentPoint | None:
    """Find the lowest threshold whose lower end of the interval is precise enough."""
    for threshold in _THRESHOLDS:
        reached = answers.probability >= threshold
        if reached.sum() < _MIN_ANSWERS:
            return None
        right = share_of_right(answers.correct[reached], answers.query_ids[reached])
        if right.low is not None and right.low >= MIN_CONFIDENT_PRECISION:
            return ConfidentPoint(
                gallery_vessels=size,
                threshold=float(threshold),
                right=right.value,
                right_low=right.low,
                answers=int(reached.sum()),
            )
    return None


def _operating_points(searches: Searches, spec: ChoiceSpec, seed: int) -> tuple[OpenSetPoint, ...]:
    """Measure identification at each false-identification rate and reported gallery size."""
    points = []
    for size in REPORTED_SIZES:
        of_size = searches.of_size(size)
        if not of_size.enrolled.any() or of_size.enrolled.all():
            continue
        answers = first_answers(of_size, spec)
        for rate in FALSE_IDENTIFICATION_RATES:
            point = choose_point(answers, rate, seed=seed)
            low, high = point.identification.ends
            points.append(
                OpenSetPoint(
                    gallery_vessels=size,
                    false_identification_rate=rate,
                    identification_rate=point.identification.value,
                    identification_low=low,
                    identification_high=high,
                    threshold=point.threshold,
                )
            )
    return tuple(points)
