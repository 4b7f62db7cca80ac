"""Fit a bundle's calibration on validation ships, and measure it on ships it has not seen.

Searches are replayed as the service runs them (`gallery_trials`), half of them with the query's
vessel not enrolled. Verdict thresholds follow from the first candidates of searches across sensors:

* `confident_from` is the lowest probability, not below one half, at which at least 95 % of the
  confident answers are right (confident: the first candidate reaches it and no second one does);
  1 when there is none.
* `no_match_below` is the highest probability, not above `confident_from`, that withholds at most
  5 % of the right first candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.chip_table import ChipTable
from model_training.gallery_trials import (
    EVIDENCE,
    Searches,
    VesselScores,
    fitting_sizes,
    run_searches,
    score_vessels,
)
from model_training.logistic import fit_logistic, probabilities
from model_training.open_set import FALSE_IDENTIFICATION_RATES, FirstAnswers, choose_point
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.manifest import CalibrationSpec, EvidenceName, LogisticSpec, OpenSetPoint

REPORTED_SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
FIT_SIZES = (2, 5, 10, 20, *REPORTED_SIZES)
PAIR_EVIDENCE: tuple[EvidenceName, ...] = ("similarity", "length_log_ratio", "width_log_ratio")
MIN_VESSELS = 20
MAX_REPEATS = 10
MIN_CONFIDENT_PRECISION = 0.95
MAX_WITHHELD = 0.05
_THRESHOLDS = np.round(np.arange(0.0, 1.0, 0.001), 3)
_MIN_ANSWERS = 20

ACROSS = ((Modality.SAR, Modality.OPTICAL), (Modality.OPTICAL, Modality.SAR))
WITHIN = ((Modality.OPTICAL, Modality.OPTICAL), (Modality.SAR, Modality.SAR))


class CalibrationError(Exception):
    """The validation data cannot carry a calibration; says what would."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Lone pairs of chips, as many of one vessel as of two.

    Attributes:
        evidence: float64 `[N, 5]` in the order of `EVIDENCE`; margin and gallery size stay 0.
        correct: bool `[N]`, whether both show one vessel.
        query_ids: int64 `[N]`, vessel of the first chip.
    """

    evidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    query_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trials:
    """What one set of ships yields, across sensors or within them."""

    searches: Searches
    pairs: Pairs


def replay(
    table: ChipTable,
    directions: Sequence[tuple[Modality, Modality]] = ACROSS,
    per_size: int = 2000,
    seed: int = 0,
) -> Trials | None:
    """Searches and pairs in the given directions, or None where ships are too few.

    Too few means that fewer than `MIN_VESSELS` have a chip to ask with and another to be found by.

    Args:
        table: embedded chips of one set of ships.
        directions: (asking, searched) sensors.
        per_size: searches per direction and gallery size; with few chips fewer, so that no chip
            asks more than `MAX_REPEATS` times at a size.
        seed: of galleries and pairs.
    """
    scores = [
        score_vessels(table, asking, searched, seed)
        for asking, searched in directions
        if _asks(table, asking) and table.rows_with(searched).size
    ]
    mated = {int(i) for s in scores for i in s.query_ids[s.own >= 0]}
    if len(mated) < MIN_VESSELS:
        return None
    searches = [
        run_searches(
            s,
            fitting_sizes(s, FIT_SIZES),
            min(per_size, MAX_REPEATS * s.query_ids.size),
            seed + i,
        )
        for i, s in enumerate(scores)
        if fitting_sizes(s, FIT_SIZES)
    ]
    pairs = [_draw_pairs(s, seed + i) for i, s in enumerate(scores)]
    return Trials(_join_searches(searches), _join_pairs(pairs))


def fit(across: Trials, within: Trials | None, fitted_on: str, seed: int = 0) -> CalibrationSpec:
    """The calibration of a bundle.

    Args:
        across: trials across sensors on validation ships.
        within: trials within each sensor, or None: then the service compares across only.
        fitted_on: names the validation data, e.g. `simulated validation ids`.
        seed: of the intervals.

    Raises:
        ValueError: the trials hold no right or no wrong candidates.
    """
    match = _fit_match(across.searches)
    answers = first_answers(across.searches, match)
    confident_from = choose_confident_from(answers)
    return CalibrationSpec(
        match=match,
        verify=_fit_pairs(across.pairs),
        match_same_sensor=_fit_match(within.searches) if within else None,
        verify_same_sensor=_fit_pairs(within.pairs) if within else None,
        confident_from=confident_from,
        no_match_below=choose_no_match_below(answers, confident_from),
        fitted_on=fitted_on,
        operating_points=_operating_points(across.searches, match, seed),
    )


def require_trials(table: ChipTable, per_size: int = 2000, seed: int = 0) -> Trials:
    """Trials across sensors.

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


def first_answers(searches: Searches, spec: LogisticSpec) -> FirstAnswers:
    """Rank each search's candidates by probability, as the service does, and keep the first."""
    probability = np.where(searches.present, probabilities(searches.evidence, spec), -1.0)
    order = np.argsort(-probability, axis=1, kind="stable")
    rows = np.arange(len(order))
    return FirstAnswers(
        query_ids=searches.query_ids,
        enrolled=searches.enrolled,
        correct=searches.correct[rows, order[:, 0]],
        probability=probability[rows, order[:, 0]],
        runner_up=np.maximum(probability[rows, order[:, 1]], 0.0),
    )


def choose_confident_from(answers: FirstAnswers) -> float:
    """See the module's rule; a threshold that fewer than 20 answers reach is no evidence."""
    for threshold in _THRESHOLDS[_THRESHOLDS >= 0.5]:
        said = (answers.probability >= threshold) & (answers.runner_up < threshold)
        if said.sum() < _MIN_ANSWERS:
            break
        if answers.correct[said].mean() >= MIN_CONFIDENT_PRECISION:
            return float(threshold)
    return 1.0


def choose_no_match_below(answers: FirstAnswers, confident_from: float) -> float:
    """See the module's rule."""
    right = answers.probability[answers.correct]
    if not right.size:
        return confident_from
    allowed = _THRESHOLDS[: 1 + int(np.searchsorted(_THRESHOLDS, confident_from))]
    allowed = np.minimum(allowed, confident_from)
    withheld = (right[:, None] < allowed).mean(axis=0)
    return float(allowed[withheld <= MAX_WITHHELD].max())


def _asks(table: ChipTable, modality: Modality) -> bool:
    return bool((table.vessel_ids[table.rows_with(modality)] != DISTRACTOR_ID).any())


def _fit_match(searches: Searches) -> LogisticSpec:
    present = searches.present
    return fit_logistic(searches.evidence[present], searches.correct[present], EVIDENCE)


def _fit_pairs(pairs: Pairs) -> LogisticSpec:
    return fit_logistic(pairs.evidence, pairs.correct, PAIR_EVIDENCE)


def _operating_points(
    searches: Searches, spec: LogisticSpec, seed: int
) -> tuple[OpenSetPoint, ...]:
    """Identification at each false-identification rate and reported gallery size."""
    points = []
    for size in REPORTED_SIZES:
        here = searches.of_size(size)
        if not here.enrolled.any() or here.enrolled.all():
            continue
        answers = first_answers(here, spec)
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


def _draw_pairs(scores: VesselScores, seed: int) -> Pairs:
    """For each query the most similar chip of its own vessel, and that of one other vessel.

    Half of the other vessels are random, half are the query's nearest in length: nobody asks
    whether a tanker is a tug.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(scores.own >= 0)
    others = np.empty(rows.size, np.int64)
    for i, row in enumerate(rows):
        possible = np.isfinite(scores.similarity[row])
        possible[scores.own[row]] = False
        columns = np.flatnonzero(possible)
        nearest = columns[np.argmin(scores.length_log_ratio[row, columns])]
        others[i] = nearest if i % 2 else rng.choice(columns)
    asked = np.concatenate([rows, rows])
    columns = np.concatenate([scores.own[rows], others])
    evidence = np.zeros((asked.size, len(EVIDENCE)))
    for name, values in (
        ("similarity", scores.similarity),
        ("length_log_ratio", scores.length_log_ratio),
        ("width_log_ratio", scores.width_log_ratio),
    ):
        evidence[:, EVIDENCE.index(name)] = values[asked, columns]
    correct = np.arange(asked.size) < rows.size
    return Pairs(evidence, correct, scores.query_ids[asked])


def _join_searches(parts: Sequence[Searches]) -> Searches:
    return Searches(
        query_ids=np.concatenate([p.query_ids for p in parts]),
        gallery_vessels=np.concatenate([p.gallery_vessels for p in parts]),
        enrolled=np.concatenate([p.enrolled for p in parts]),
        evidence=np.concatenate([p.evidence for p in parts]),
        present=np.concatenate([p.present for p in parts]),
        correct=np.concatenate([p.correct for p in parts]),
    )


def _join_pairs(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(
        evidence=np.concatenate([p.evidence for p in parts]),
        correct=np.concatenate([p.correct for p in parts]),
        query_ids=np.concatenate([p.query_ids for p in parts]),
    )
