"""Fit and measure the comparison of queries both ways round, see `framing.half_turn`.

A query counts with the more similar of its two half turns, which makes wrong candidates more
similar, too; so these searches have probabilities and thresholds of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from model_training.calibration.calibrate import fit, require_trials
from model_training.calibration.report import CalibrationReport, calibration_metrics, measure
from model_training.calibration.trials import WITHIN, replay
from model_training.calibration.verdicts import measure_points
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from service.contract.chip import Modality
from service.contract.manifest import Metric
from service.contract.weighing.specs import BothWaysSpec

QUERIES_PER_SENSOR = 600
"""Half turns that are embedded of each sensor's chips."""
SUFFIX = ", both ways"
_STEEPEST = 1000.0


@dataclass(frozen=True, slots=True)
class Ways:
    """Pairs of chips of one ship by two sensors, the first of them both ways round.

    Attributes:
        difference: float64 `[N]`, cosine as the chip is less cosine of its half turn.
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
    seed: int = 0,
    real_share: float = 0.0,
) -> BothWaysSpec:
    """Fit the calibration of searches both ways, and how certain the choice of a way is.

    Args:
        table: chips of validation ships with half turns, see `embed_half_turns`.
        bow_up: at which end the bow is, see `compare_ways`.
        fitted_on: name of the validation data.
        seed: of the searches and intervals.
        real_share: share of genuine chips among the validation chips, 0 to 1.

    Raises:
        CalibrationError: there are too few ships with half turns.
    """
    across = require_trials(table, seed=seed, both_ways=True)
    within = replay(table, WITHIN, seed=seed, both_ways=True)
    return BothWaysSpec(
        calibration=fit(across, within, fitted_on, seed, real_share),
        certainty_slope=fit_certainty_slope(compare_ways(table, bow_up)),
    )


def measure_both_ways(
    spec: BothWaysSpec,
    table: ChipTable,
    bow_up: Mapping[Path, bool],
    measured_on: str,
    seed: int = 0,
) -> BothWaysReport:
    """Measure searches both ways; ships that had no part in the fit give an unbiased result.

    Raises:
        CalibrationError: there are too few ships with half turns.
    """
    ways = compare_ways(table, bow_up)
    right = ((ways.difference >= 0) == ways.same_way).astype(np.float64)
    trials = require_trials(table, seed=seed + 1, both_ways=True)
    points = measure_points(trials.searches, spec.calibration, measured_on, seed)
    calibration = spec.calibration.model_copy(update={"verdicts": points})
    return BothWaysReport(
        spec.model_copy(update={"calibration": calibration}),
        measure(spec.calibration, trials, seed),
        bootstrap_mean(right, ways.vessel_ids, 1000, seed),
    )


def both_ways_metrics(report: BothWaysReport, dataset: str) -> tuple[Metric, ...]:
    """Return the measurements for a bundle's manifest; protocols end in `SUFFIX`."""
    searches = calibration_metrics(report.searches, dataset)
    right = report.right_way
    return (
        *(m.model_copy(update={"protocol": m.protocol + SUFFIX}) for m in searches),
        Metric(
            dataset=dataset,
            protocol="bow",
            name="pairs of one ship more similar the right way round",
            value=100.0 * right.value,
            low=None if right.low is None else 100.0 * right.low,
            high=None if right.high is None else 100.0 * right.high,
        ),
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
