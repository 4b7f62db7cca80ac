"""Fit a bundle's calibration on validation ships, and measure it on ships it has not seen.

Searches are replayed as the service runs them (`calibration.searches`); in half of them the
query's vessel is not enrolled. Candidates compete with each other and with "none of them"
(`calibration.candidate_probabilities`); lone pairs are weighed by logistic regression
(`calibration.logistic`). Verdict thresholds follow from the first candidates of searches across
sensors:

* `confident_from` is the lowest probability, not below one half, at which at least 95 % of the
  confident answers are right (confident: the first candidate reaches it); 1 when no probability
  achieves that.
* `no_match_below` is the highest probability, not above `confident_from`, that withholds at most
  5 % of the right first candidates (no match: the first candidate is below it, and below the
  probability of "none of them").

The similarities of first candidates are counted as well, so that a service can compare them with
those of its live searches.
"""

import numpy as np

from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.logistic import fit_logistic
from model_training.calibration.open_set import (
    FALSE_IDENTIFICATION_RATES,
    FirstAnswers,
    choose_point,
)
from model_training.calibration.searches import Searches
from model_training.calibration.similarities import count_first
from model_training.calibration.trials import (
    ACROSS,
    MIN_VESSELS,
    REPORTED_SIZES,
    Trials,
    first_answers,
    replay,
)
from model_training.embedding.chip_table import ChipTable
from service.contract.manifest import (
    CalibrationSpec,
    ChoiceSpec,
    OpenSetPoint,
    SimilaritySpec,
)
from service.contract.similarity import SIMILARITY_EDGES

MIN_CONFIDENT_PRECISION = 0.95
MAX_WITHHELD = 0.05
_THRESHOLDS = np.round(np.arange(0.0, 1.0, 0.001), 3)
_MIN_ANSWERS = 20


class CalibrationError(Exception):
    """The validation data do not suffice for a calibration; the message says what would."""


def fit(across: Trials, within: Trials | None, fitted_on: str, seed: int = 0) -> CalibrationSpec:
    """Fit the calibration of a bundle.

    Args:
        across: trials across sensors on validation ships.
        within: trials within each sensor; None if the service shall only compare across sensors.
        fitted_on: name of the validation data, e.g. `simulated validation ids`.
        seed: of the intervals.

    Raises:
        ValueError: the trials do not hold both right and wrong answers.
    """
    match = fit_choice(across.searches)
    match_same_sensor = fit_choice(within.searches) if within else None
    similarities = count_first(across.searches, match)
    if within and match_same_sensor:
        similarities += count_first(within.searches, match_same_sensor)
    answers = first_answers(across.searches, match)
    confident_from = choose_confident_from(answers)
    return CalibrationSpec(
        match=match,
        verify=fit_logistic(across.pairs.evidence, across.pairs.correct),
        match_same_sensor=match_same_sensor,
        verify_same_sensor=(
            fit_logistic(within.pairs.evidence, within.pairs.correct) if within else None
        ),
        confident_from=confident_from,
        no_match_below=choose_no_match_below(answers, confident_from),
        fitted_on=fitted_on,
        operating_points=_operating_points(across.searches, match, seed),
        similarities=SimilaritySpec(edges=SIMILARITY_EDGES, searches=similarities),
    )


def require_trials(table: ChipTable, per_size: int = 2000, seed: int = 0) -> Trials:
    """Replay trials across sensors.

    Raises:
        CalibrationError: there are fewer than `MIN_VESSELS` ships with chips of both sensors.
    """
    trials = replay(table, ACROSS, per_size, seed)
    if trials is None:
        raise CalibrationError(
            f"calibration needs at least {MIN_VESSELS} ships with both optical and SAR chips; "
            "give a folder with more validation ships"
        )
    return trials


def choose_confident_from(answers: FirstAnswers) -> float:
    """Apply the rule of the module's docstring to thresholds that at least 20 answers reach."""
    for threshold in _THRESHOLDS[_THRESHOLDS >= 0.5]:
        confident = answers.probability >= threshold
        if confident.sum() < _MIN_ANSWERS:
            break
        if answers.correct[confident].mean() >= MIN_CONFIDENT_PRECISION:
            return float(threshold)
    return 1.0


def choose_no_match_below(answers: FirstAnswers, confident_from: float) -> float:
    """Apply the rule of the module's docstring."""
    right = answers.probability[answers.correct]
    none = answers.none[answers.correct]
    if not right.size:
        return confident_from
    allowed = _THRESHOLDS[: 1 + int(np.searchsorted(_THRESHOLDS, confident_from))]
    allowed = np.minimum(allowed, confident_from)
    # [right answers, thresholds] -> [thresholds]
    withheld = (right[:, None] < np.minimum(allowed, none[:, None])).mean(axis=0)
    return float(allowed[withheld <= MAX_WITHHELD].max())


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
