"""Measure a bundle's probabilities where each chip is asked with its vessel and without.

The gallery holds all other vessels of a data set, so the measurement draws nothing at random. It
suits small sets of genuine chips, which `calibrate --test` has too few ships for.
"""

from dataclasses import dataclass
from typing import Any

from model_training.calibration.reliability import measure_reliability
from model_training.calibration.searches import (
    ask_with_and_without,
    join_rows,
    score_vessels,
    tight_preference,
)
from model_training.calibration.trials import ACROSS, first_answers
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import Estimate
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec

BINS = 5
"""Fewer than elsewhere, because ECE over bins of few answers measures chance."""


@dataclass(frozen=True, slots=True)
class KnownAndUnknown:
    """What the probabilities of first candidates and of "none" are worth on one set of chips.

    Attributes:
        first: ECE of the first candidate's probability, 0 to 1.
        none: ECE of the probability of "none of them", 0 to 1.
        highest_wrong: the highest probability of a first candidate that is wrong, 0 to 1.
        first_right: share of searches with the vessel enrolled whose first candidate is right.
    """

    searches: int
    ships: int
    first: Estimate
    none: Estimate
    highest_wrong: float
    first_right: float

    def document(self) -> dict[str, Any]:
        """Return the measurements as JSON values."""
        return {
            "searches": self.searches,
            "ships": self.ships,
            "ece_first_candidate": self.first.document(),
            "ece_none": self.none.document(),
            "highest_wrong_probability": self.highest_wrong,
            "first_right_when_enrolled": self.first_right,
        }

    def metrics(self, dataset: str) -> tuple[Metric, ...]:
        """Return the measurements for a bundle's manifest, 0 to 1."""
        values = {
            "ECE first candidate (0 to 1)": self.first,
            "ECE none of them (0 to 1)": self.none,
            "highest probability of a wrong answer (0 to 1)": Estimate(
                self.highest_wrong, None, None
            ),
        }
        protocol = "each chip asked with its vessel and without"
        return tuple(
            value.metric(dataset, protocol, name, queries=self.searches)
            for name, value in values.items()
        )


def measure_known_and_unknown(
    table: ChipTable, spec: CalibrationSpec, seed: int = 0
) -> KnownAndUnknown:
    """Match every chip across sensors, with its vessel in the gallery and without.

    As the service does with tight chips, the half turn of a query counts where it is more similar
    by the bundle's `bow_preference`; without one, queries are compared as they are.

    Args:
        table: embedded chips of one data set, with half turns if the bundle has a preference.

    Raises:
        ValueError: one of the two sensors has no chips.
    """
    preference = tight_preference(spec)
    parts = [
        ask_with_and_without(score_vessels(table, *pair, preference=preference)) for pair in ACROSS
    ]
    searches = join_rows(parts)
    answers = first_answers(searches, spec.match)
    ids = answers.query_ids
    wrong = answers.probability[~answers.correct]
    return KnownAndUnknown(
        searches=ids.size,
        ships=len(set(ids.tolist())),
        first=measure_reliability(answers.probability, answers.correct, ids, BINS, seed=seed).ece,
        none=measure_reliability(answers.none, ~searches.enrolled, ids, BINS, seed=seed).ece,
        highest_wrong=float(wrong.max(initial=0.0)),
        first_right=float(answers.correct[searches.enrolled].mean()),
    )
