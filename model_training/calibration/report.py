"""Measure a calibration on one set of ships: ECE, verdicts, open-set identification."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.calibration.candidate_probabilities import candidate_probabilities
from model_training.calibration.logistic import pair_probabilities
from model_training.calibration.open_set import FirstAnswers, OperatingPoint, measure_point
from model_training.calibration.reliability import Reliability, measure_reliability
from model_training.calibration.searches import Searches
from model_training.calibration.trials import Trials, first_answers
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from service.contract.manifest import CalibrationSpec, ChoiceSpec, Metric

OPEN_SET = "open set"
"""The protocol of metrics about searches whose ship may not be enrolled."""


@dataclass(frozen=True, slots=True)
class VerdictRates:
    """Shares of searches, 0 to 1; a precision is None when the verdict was never given.

    Attributes:
        confident: share of searches answered as confident.
        confident_right: share of those whose vessel is right.
        no_match: share of searches answered as no match.
        no_match_right: share of those whose vessel was indeed not enrolled.
    """

    confident: float
    confident_right: Estimate | None
    no_match: float
    no_match_right: Estimate | None


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Measurements on one set of ships, across sensors.

    Attributes:
        ships: number of ships that are queries.
        searches: number of simulated searches.
        first_candidate: the reliability of the first candidate's probability.
        brier: mean squared error of the first candidate's probability, 0 to 1.
        log_loss: mean negative log likelihood of whether the first candidate is right, in nats.
        candidates: the reliability of every weighed candidate's probability.
        pairs: the reliability of the probability of lone pairs.
        verdicts: how often each verdict is given, and how often it is right.
        confident: how often `confident` answers are right, by the sizes of `spec.confident`.
        open_set: what the stored thresholds achieve, by (gallery size, intended rate).
    """

    ships: int
    searches: int
    first_candidate: Reliability
    brier: Estimate
    log_loss: Estimate
    candidates: Reliability
    pairs: Reliability
    verdicts: VerdictRates
    confident: dict[int, VerdictRates]
    open_set: dict[tuple[int, float], OperatingPoint]

    def document(self) -> dict[str, Any]:
        """Return the measurements for a JSON file."""
        verdicts = self.verdicts
        return {
            "ships": self.ships,
            "searches": self.searches,
            "ece_first_candidate": self.first_candidate.ece.document(),
            "brier_first_candidate": self.brier.document(),
            "log_loss_first_candidate": self.log_loss.document(),
            "ece_candidates": self.candidates.ece.document(),
            "ece_pairs": self.pairs.ece.document(),
            "verdicts": {
                "confident": verdicts.confident,
                "confident_right": _document(verdicts.confident_right),
                "no_match": verdicts.no_match,
                "no_match_right": _document(verdicts.no_match_right),
            },
            "confident_by_gallery": [
                {"gallery_vessels": size, "share": rates.confident, "right": right.document()}
                for size, rates in self.confident.items()
                if (right := rates.confident_right) is not None
            ],
            "open_set": [
                {
                    "gallery_vessels": size,
                    "intended_false_identification_rate": rate,
                    "threshold": point.threshold,
                    "false_identification_rate": point.false_identification.document(),
                    "identification_rate": point.identification.document(),
                }
                for (size, rate), point in self.open_set.items()
            ],
        }


def measure(spec: CalibrationSpec, trials: Trials, seed: int = 0) -> CalibrationReport:
    """Apply a fitted calibration to trials and measure it.

    Ships that had no part in the fit give an unbiased measurement.

    Args:
        spec: the calibration.
        trials: searches and pairs across sensors, see `trials.replay`.
        seed: of the bootstrap.
    """
    answers = first_answers(trials.searches, spec.match)
    brier, log_loss = proper_scores(answers, seed)
    return CalibrationReport(
        ships=int(np.unique(answers.query_ids).size),
        searches=answers.query_ids.size,
        first_candidate=measure_reliability(
            answers.probability, answers.correct, answers.query_ids, seed=seed
        ),
        brier=brier,
        log_loss=log_loss,
        candidates=_candidate_reliability(trials, spec.match, seed),
        pairs=measure_reliability(
            pair_probabilities(trials.pairs.evidence, spec.verify),
            trials.pairs.correct,
            trials.pairs.query_ids,
            seed=seed,
        ),
        verdicts=_verdict_rates(answers, _thresholds(trials.searches, spec), spec, seed),
        confident=_achieved_confidence(trials, spec, seed),
        open_set=_achieved_points(trials, spec, seed),
    )


def calibration_metrics(report: CalibrationReport, dataset: str) -> tuple[Metric, ...]:
    """Return the calibration errors for a bundle's manifest, 0 to 1."""
    errors = {
        "ECE first candidate (0 to 1)": report.first_candidate.ece,
        "ECE pairs (0 to 1)": report.pairs.ece,
    }
    return tuple(
        Metric(
            dataset=dataset,
            protocol="calibration",
            name=name,
            value=error.value,
            low=error.low,
            high=error.high,
            queries=report.searches,
        )
        for name, error in errors.items()
    )


def confident_metrics(report: CalibrationReport, dataset: str) -> tuple[Metric, ...]:
    """Return how often `confident` answers are right by gallery size, in per cent."""
    return tuple(
        Metric(
            dataset=dataset,
            protocol="verdicts",
            name="confident answers that are right",
            value=100.0 * right.value,
            low=100.0 * right.ends[0],
            high=100.0 * right.ends[1],
            gallery=size,
        )
        for size, rates in report.confident.items()
        if (right := rates.confident_right) is not None
    )


def open_set_metrics(report: CalibrationReport, dataset: str) -> tuple[Metric, ...]:
    """Return what the stored thresholds achieve, for a bundle's manifest, in per cent.

    The report should be of ships that had no part in setting the thresholds; the rates of those
    that had are the calibration's operating points. `gallery` counts vessels.
    """
    metrics = []
    for (size, rate), point in report.open_set.items():
        found, false = open_set_names(rate)
        for name, estimate, searches in (
            (found, point.identification, point.enrolled),
            (false, point.false_identification, point.strangers),
        ):
            low, high = estimate.ends
            metrics.append(
                Metric(
                    dataset=dataset,
                    protocol=OPEN_SET,
                    name=name,
                    value=100.0 * estimate.value,
                    low=100.0 * low,
                    high=100.0 * high,
                    queries=searches,
                    gallery=size,
                )
            )
    return tuple(metrics)


def open_set_names(rate: float) -> tuple[str, str]:
    """Return the metric names of identification and of measured false identification.

    Args:
        rate: the intended false-identification rate, 0 to 1.
    """
    intended = f"{100 * rate:g} % false identification"
    return f"identification at {intended}", f"false identification where {intended} was intended"


def proper_scores(answers: FirstAnswers, seed: int = 0) -> tuple[Estimate, Estimate]:
    """Return Brier score and log loss of the first candidate, see `CalibrationReport`."""
    likelihood = np.where(answers.correct, answers.probability, 1.0 - answers.probability)
    surprise = -np.log(np.maximum(likelihood, np.finfo(np.float64).tiny))
    brier = bootstrap_mean((1.0 - likelihood) ** 2, answers.query_ids, 1000, seed)
    return brier, bootstrap_mean(surprise, answers.query_ids, 1000, seed)


def _candidate_reliability(trials: Trials, spec: ChoiceSpec, seed: int) -> Reliability:
    searches = trials.searches
    query_ids = np.repeat(searches.query_ids[:, None], searches.present.shape[1], axis=1)  # [S, M]
    return measure_reliability(
        candidate_probabilities(searches, spec)[:, 1:][searches.present],  # without "none"
        searches.correct[searches.present],
        query_ids[searches.present],
        seed=seed,
    )


def _verdict_rates(
    answers: FirstAnswers, thresholds: NDArray[np.float64], spec: CalibrationSpec, seed: int
) -> VerdictRates:
    """Rate the verdicts; `thresholds` [S] are those of each search's gallery size."""
    no_match = answers.probability < np.minimum(spec.no_match_below, answers.none)
    confident = ~no_match & (answers.probability >= thresholds)

    def precision(given: NDArray[np.bool_], right: NDArray[np.bool_]) -> Estimate | None:
        if not given.any():
            return None
        return bootstrap_mean(right[given].astype(np.float64), answers.query_ids[given], 1000, seed)

    return VerdictRates(
        confident=float(confident.mean()),
        confident_right=precision(confident, answers.correct),
        no_match=float(no_match.mean()),
        no_match_right=precision(no_match, ~answers.enrolled),
    )


def _thresholds(searches: Searches, spec: CalibrationSpec) -> NDArray[np.float64]:
    """Return the confident threshold of each search's gallery size, infinite where none is set."""
    found = {
        int(size): spec.confident_threshold(int(size))
        for size in np.unique(searches.gallery_vessels)
    }
    return np.array([found[int(size)] or np.inf for size in searches.gallery_vessels])


def _achieved_confidence(
    trials: Trials, spec: CalibrationSpec, seed: int
) -> dict[int, VerdictRates]:
    """Rate the verdicts of each gallery size apart."""
    achieved = {}
    for point in spec.confident:
        searches = trials.searches.of_size(point.gallery_vessels)
        if searches.query_ids.size:
            achieved[point.gallery_vessels] = _verdict_rates(
                first_answers(searches, spec.match), _thresholds(searches, spec), spec, seed
            )
    return achieved


def _achieved_points(
    trials: Trials, spec: CalibrationSpec, seed: int
) -> dict[tuple[int, float], OperatingPoint]:
    achieved = {}
    for point in spec.operating_points:
        searches = trials.searches.of_size(point.gallery_vessels)
        if searches.enrolled.any() and not searches.enrolled.all():
            achieved[point.gallery_vessels, point.false_identification_rate] = measure_point(
                first_answers(searches, spec.match), point.threshold, seed=seed
            )
    return achieved


def _document(estimate: Estimate | None) -> dict[str, float | None] | None:
    return None if estimate is None else estimate.document()
