"""Fit and measure the weights of queries that are coarser than the gallery.

A coarse chip resembles its own ship less, so that the weights of fine queries give "none of them"
too high a probability. Queries are coarsened as in `model_training.evaluation.resolution`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from model_training.calibration.candidate_probabilities import fit_choice
from model_training.calibration.reliability import measure_reliability
from model_training.calibration.searches import CoarseQueries, tight_preference
from model_training.calibration.trials import ACROSS, WITHIN, first_answers, replay
from model_training.embedding.chip_table import BATCH, ChipEmbedder, ChipTable
from model_training.evaluation.metrics import Estimate
from model_training.evaluation.resolution import coarsen
from service.contract.chip import Modality
from service.contract.framing.half_turn import half_turn
from service.contract.manifest import Metric
from service.contract.weighing.specs import CalibrationSpec, CoarseSpec

GSDS_M = (2.0, 3.0, 5.0, 10.0)
QUERIES_PER_SENSOR = 600


@dataclass(frozen=True, slots=True)
class AtGsd:
    """Calibration errors, 0 to 1, of searches with queries of one GSD.

    Attributes:
        first: ECE of the first candidate's probability.
        none: ECE of the probability of "none of them".
        first_as_fine: ECE of the first candidate by the weights of fine queries.
        none_as_fine: ECE of "none of them" by the weights of fine queries.
    """

    searches: int
    first: Estimate
    none: Estimate
    first_as_fine: Estimate
    none_as_fine: Estimate

    def document(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return asdict(self)


def embed_coarse(
    table: ChipTable,
    embed: ChipEmbedder,
    per_sensor: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> list[CoarseQueries]:
    """Coarsen up to `per_sensor` labelled chips of each sensor to each of `GSDS_M`; embed them.

    Raises:
        DatasetError: a file is not a usable chip.
    """
    rng = np.random.default_rng(seed)
    drawn = [table.draw_rows(modality, per_sensor, rng) for modality in Modality]
    rows = np.concatenate(drawn)
    shape = table.embeddings.plain.shape
    queries = [
        CoarseQueries(
            gsd_m=gsd_m,
            vectors=np.full(shape, np.nan, np.float32),
            half_turned=np.full(shape, np.nan, np.float32),
            size_m=np.full((shape[0], 2), np.nan),
        )
        for gsd_m in GSDS_M
    ]
    for start in range(0, rows.size, BATCH):
        batch = rows[start : start + BATCH]
        chips = [table.chips[row].read() for row in batch]
        for asked in queries:
            coarse = [coarsen(chip, asked.gsd_m) for chip in chips]
            turned = [replace(chip, pixels=half_turn(chip.pixels)) for chip in coarse]
            asked.vectors[batch] = embed(coarse).served
            asked.half_turned[batch] = embed(turned).served
            asked.size_m[batch] = [(chip.length_m, chip.width_m) for chip in coarse]
        advance(batch.size)
    return queries


def fit_coarse(
    table: ChipTable, queries: Sequence[CoarseQueries], preference: float, seed: int = 0
) -> tuple[CoarseSpec, ...]:
    """Fit the weights of coarse queries.

    Args:
        table: chips of validation ships, in the gallery as they are.
        queries: see `embed_coarse`, by ascending GSD.
        preference: see `searches.score_vessels`.

    Returns:
        None of the GSDs for which there are too few ships.
    """
    specs = []
    for asked in queries:
        across = replay(table, ACROSS, seed=seed, preference=preference, coarse=asked)
        within = replay(table, WITHIN, seed=seed, preference=preference, coarse=asked)
        if across is not None:
            specs.append(
                CoarseSpec(
                    gsd_m=asked.gsd_m,
                    match=fit_choice(across.searches),
                    match_same_sensor=fit_choice(within.searches) if within else None,
                )
            )
    return tuple(specs)


def measure_coarse(
    spec: CalibrationSpec, table: ChipTable, queries: Sequence[CoarseQueries], seed: int = 0
) -> dict[float, AtGsd]:
    """Measure the probabilities of coarse queries, by GSD, on ships that had no part in the fit."""
    results = {}
    preference = tight_preference(spec)
    for asked in queries:
        trials = replay(table, ACROSS, seed=seed, preference=preference, coarse=asked)
        if trials is None:
            continue
        searches = trials.searches
        errors = []
        for gsd_m in (asked.gsd_m, 0.0):
            weights = spec.for_query(both_ways=False, gsd_m=gsd_m).match
            answers = first_answers(searches, weights)
            outcomes = ((answers.probability, answers.correct), (answers.none, ~searches.enrolled))
            errors += [
                measure_reliability(probability, right, answers.query_ids, seed=seed).ece
                for probability, right in outcomes
            ]
        results[asked.gsd_m] = AtGsd(searches.query_ids.size, *errors)
    return results


def coarse_metrics(results: Mapping[float, AtGsd], dataset: str) -> tuple[Metric, ...]:
    """Return the calibration errors for a bundle's manifest, 0 to 1."""
    return tuple(
        error.metric(
            dataset,
            f"calibration, queries at {gsd_m:g} m",
            f"ECE {subject} (0 to 1)",
            queries=result.searches,
        )
        for gsd_m, result in results.items()
        for subject, error in (("first candidate", result.first), ("none", result.none))
    )
