"""Measure a calibration on one set of ships: ECE, verdicts, open-set identification."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model_training.calibration.candidate_probabilities import candidate_probabilities
from model_training.calibration.context import CombinedReport, measure_combined
from model_training.calibration.logistic import pair_probabilities
from model_training.calibration.open_set import FirstAnswers, OperatingPoint, measure_point
from model_training.calibration.reliability import Reliability, measure_reliability
from model_training.calibration.searches import Searches
from model_training.calibration.trials import Trials, first_answers
from model_training.calibration.verdicts import Rated, answers_of, rate_verdicts
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, VerdictName
from service.contract.weighing.verdicts import thresholds_of

OPEN_SET = "open set"
"""The protocol of metrics about searches whose ship may not be enrolled."""


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Measurements on one set of ships, across sensors.

    Attributes:
        first_candidate: the reliability of the first candidate's probability.
        brier: mean squared error of the first candidate's probability, 0 to 1.
        log_loss: mean negative log likelihood of whether the first candidate is right, in nats.
        candidates: the reliability of every weighed candidate's probability.
        pairs: the reliability of the probability of lone pairs.
        verdicts: how often each verdict is given and right, by gallery size, if a bundle may be
            `confident`.
        combined: the calibration with simulated registers and voyages; None without `context`.
        several: the reliability of the first candidate's probability for several chips of one
            ship; None if they were not replayed.
        open_set: what the stored thresholds achieve, by (gallery size, intended rate).
    """

    ships: int
    searches: int
    first_candidate: Reliability
    brier: Estimate
    log_loss: Estimate
    candidates: Reliability
    pairs: Reliability
    verdicts: dict[int, dict[VerdictName, Rated]]
    combined: CombinedReport | None
    several: Reliability | None
    open_set: dict[tuple[int, float], OperatingPoint]

    def document(self) -> dict[str, Any]:
        """Return the measurements for a JSON file."""
        return {
            "ships": self.ships,
            "searches": self.searches,
            "ece_first_candidate": self.first_candidate.ece.document(),
            "brier_first_candidate": self.brier.document(),
            "log_loss_first_candidate": self.log_loss.document(),
            "ece_candidates": self.candidates.ece.document(),
            "ece_pairs": self.pairs.ece.document(),
            "combined_evidence": None
            if self.combined is None
            else {name: part.ece.document() for name, part in self.combined.parts().items()},
            "ece_several_chips": None if self.several is None else self.several.ece.document(),
            "verdicts": [
                {
                    "gallery_vessels": size,
                    "verdict": verdict,
                    "share": rated.share,
                    "answers": rated.answers,
                    "right": None if rated.right is None else rated.right.document(),
                }
                for size, verdicts in self.verdicts.items()
                for verdict, rated in verdicts.items()
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


def measure(
    spec: CalibrationSpec, trials: Trials, seed: int = 0, several: Searches | None = None
) -> CalibrationReport:
    """Apply a fitted calibration to trials and measure it.

    Ships that had no part in the fit give an unbiased measurement.

    Args:
        trials: searches and pairs across sensors, see `trials.replay`.
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
        verdicts={
            size: rate_verdicts(
                answers_of(trials.searches.of_size(size), spec.match),
                thresholds_of(spec, size, allow_confident=True),
            )
            for size in np.unique(trials.searches.gallery_vessels).tolist()
        },
        combined=(
            None
            if spec.context is None
            else measure_combined(trials.searches, spec.match, spec.context, seed + 1)
        ),
        several=_several(spec, several, seed),
        open_set=_achieved_points(trials, spec, seed),
    )


def calibration_metrics(report: CalibrationReport, dataset: str) -> tuple[Metric, ...]:
    """Return the calibration errors for a bundle's manifest, 0 to 1."""
    errors = {
        "ECE first candidate (0 to 1)": report.first_candidate.ece,
        "ECE pairs (0 to 1)": report.pairs.ece,
    }
    if report.several is not None:
        errors["ECE first candidate, several chips (0 to 1)"] = report.several.ece
    return tuple(
        error.metric(dataset, "calibration", name, queries=report.searches)
        for name, error in errors.items()
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
            share = estimate.percent
            metrics.append(share.metric(dataset, OPEN_SET, name, queries=searches, gallery=size))
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


def _several(spec: CalibrationSpec, searches: Searches | None, seed: int) -> Reliability | None:
    if searches is None or spec.match_several is None:
        return None
    first = first_answers(searches, spec.match_several)
    return measure_reliability(first.probability, first.correct, first.query_ids, seed=seed)


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
