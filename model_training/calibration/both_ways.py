"""Fit and measure the comparison of queries both ways round, see `framing.half_turn`.

A query counts with the more similar of its two half turns, which makes wrong candidates more
similar, too; so these searches have probabilities and thresholds of their own. If framing changed
neither the query nor the known chip, the half turn counts only where it is more similar by a
preference, because such chips mostly show their bows at the same end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from model_training.calibration.calibrate import fit, require_trials
from model_training.calibration.coarse_queries import fit_coarse
from model_training.calibration.report import CalibrationReport, calibration_metrics, measure
from model_training.calibration.searches import CoarseQueries, score_vessels
from model_training.calibration.trials import ACROSS, WITHIN, replay
from model_training.calibration.verdicts import measure_points
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from service.contract.chip import Modality
from service.contract.manifest import Metric
from service.contract.weighing.specs import BothWaysSpec

SUFFIX = ", both ways"
PREFERENCES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)
"""The values of `BothWaysSpec.bow_preference` to choose from."""
SAME_END_SHARE = 0.68
"""In how many pairs of tight chips of one ship both are assumed to show the bow at the same end:
about two in three. The larger the share, the more do chips with the bow at the other end lose."""
_STEEPEST = 1000.0


@dataclass(frozen=True, slots=True)
class Ways:
    """Pairs of chips of one ship by two sensors, the first of them both ways round.

    Attributes:
        difference: float64 `[N]`, cosine of the chip minus cosine of its half turn.
        same_way: bool `[N]`, whether the bow is at the same end of both chips.
        vessel_ids: int64 `[N]`.
    """

    difference: NDArray[np.float64]
    same_way: NDArray[np.bool_]
    vessel_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BothWaysReport:
    """Measurements of searches both ways.

    Attributes:
        spec: the fitted one, with the verdicts' rates as measured on these ships.
        searches: as of searches one way.
        right_way: share of pairs of one ship, 0 to 1, whose more similar way is the right one.
    """

    spec: BothWaysSpec
    searches: CalibrationReport
    right_way: Estimate

    def document(self) -> dict[str, object]:
        """Return the measurements for a JSON file."""
        return {**self.searches.document(), "right_way": self.right_way.document()}


def fit_both_ways(
    table: ChipTable,
    bow_up: Mapping[Path, bool],
    fitted_on: str,
    bow_preference: float,
    seed: int = 0,
    real_share: float = 0.0,
    coarse: Sequence[CoarseQueries] = (),
) -> BothWaysSpec:
    """Fit the calibration of searches both ways, and how certain the choice of a way is.

    Args:
        table: chips of validation ships with half turns, see `embed_half_turns`.
        bow_up: at which end the bow is, see `compare_ways`.
        bow_preference: see `choose_preference`.
        real_share: share of genuine chips among the validation chips, 0 to 1.
        coarse: the same chips as coarser queries, see `embed_coarse`.

    Raises:
        CalibrationError: there are too few ships with half turns.
    """
    across = require_trials(table, seed=seed, preference=0.0)
    within = replay(table, WITHIN, seed=seed, preference=0.0)
    fitted = fit(across, within, fitted_on, seed, real_share)
    weights = fit_coarse(table, coarse, 0.0, seed)
    return BothWaysSpec(
        calibration=fitted.model_copy(update={"coarse": weights}),
        certainty_slope=fit_certainty_slope(compare_ways(table, bow_up)),
        bow_preference=bow_preference,
    )


def choose_preference(table: ChipTable, seed: int = 0) -> float:
    """Return the preference with which queries rank their ships highest.

    The rank is the mean reciprocal rank, averaged over both directions between the sensors, and
    over queries as they are (with the weight `SAME_END_SHARE`) and turned by 180 degrees.

    Args:
        table: tight chips of validation ships with half turns; most have the bow at the same end as
            the ship's other chips.
    """

    def rank(preference: float) -> float:
        as_they_are = _mean_reciprocal_rank(table, preference, seed)
        # A turned query, whose half turn is the query, ranks ships as with the opposite preference.
        turned = _mean_reciprocal_rank(table, -preference, seed)
        return SAME_END_SHARE * as_they_are + (1.0 - SAME_END_SHARE) * turned

    return max(PREFERENCES, key=rank)


def _mean_reciprocal_rank(table: ChipTable, preference: float, seed: int) -> float:
    means = []
    for query_sensor, gallery_sensor in ACROSS:
        scores = score_vessels(table, query_sensor, gallery_sensor, seed, preference=preference)
        found = scores.own >= 0
        own = scores.similarity[found, scores.own[found]]
        ranks = 1 + (scores.similarity[found] > own[:, None]).sum(axis=1)
        means.append(float((1.0 / ranks).mean()))
    return float(np.mean(means))


def measure_both_ways(
    spec: BothWaysSpec,
    table: ChipTable,
    bow_up: Mapping[Path, bool],
    measured_on: str,
    seed: int = 0,
) -> BothWaysReport:
    """Measure searches both ways; ships that had no part in the fit give an unbiased result.

    Args:
        spec: see `fit_both_ways`.
        table: chips of test ships with half turns.
        bow_up: see `compare_ways`.

    Raises:
        CalibrationError: there are too few ships with half turns.
    """
    ways = compare_ways(table, bow_up)
    right = ((ways.difference >= 0) == ways.same_way).astype(np.float64)
    trials = require_trials(table, seed=seed + 1, preference=0.0)
    points = measure_points(trials.searches, spec.calibration, measured_on)
    calibration = spec.calibration.model_copy(update={"verdicts": points})
    return BothWaysReport(
        spec.model_copy(update={"calibration": calibration}),
        measure(spec.calibration, trials, seed),
        bootstrap_mean(right, ways.vessel_ids, 1000, seed),
    )


def both_ways_metrics(report: BothWaysReport, dataset: str) -> tuple[Metric, ...]:
    """Return the measurements for a bundle's manifest."""
    right = "pairs of one ship more similar the right way round"
    return (
        *(
            metric.model_copy(update={"protocol": metric.protocol + SUFFIX})
            for metric in calibration_metrics(report.searches, dataset)
        ),
        report.right_way.percent.metric(dataset, "bow", right),
    )


def compare_ways(table: ChipTable, bow_up: Mapping[Path, bool]) -> Ways:
    """Compare each chip that has a half turn, both ways, with its ship's chips by the other sensor.

    Args:
        table: chips with half turns.
        bow_up: at which end the bow is, by the chip's absolute path. Pairs with a chip that it
            does not name are taken to have their bows at the same end.
    """
    ids, vectors = table.vessel_ids, table.embeddings.served.astype(np.float64)
    ends = [bow_up.get(chip.path.resolve()) for chip in table.chips]
    sar = np.array([chip.modality is Modality.SAR for chip in table.chips])
    difference, same_way, vessel_ids = [], [], []
    for row in table.rows_with_half_turn:
        turned = np.asarray(table.half_turned)[row].astype(np.float64)
        for other in np.flatnonzero((ids == ids[row]) & (sar != sar[row])):
            difference.append(float((vectors[row] - turned) @ vectors[other]))
            same_way.append(None in (ends[row], ends[other]) or ends[row] == ends[other])
            vessel_ids.append(ids[row])
    return Ways(np.array(difference), np.array(same_way, np.bool_), np.array(vessel_ids, np.int64))


def fit_certainty_slope(ways: Ways) -> float:
    """Return the slope of `half_turn.better_way` of the greatest likelihood, 0 to 1000."""
    signed = np.where(ways.same_way, ways.difference, -ways.difference)
    found = minimize_scalar(
        lambda slope: float(np.logaddexp(0.0, -slope * signed).mean()),
        bounds=(0.0, _STEEPEST),
        method="bounded",
    )
    return float(found.x)
