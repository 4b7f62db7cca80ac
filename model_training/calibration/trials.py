"""Replay searches and draw lone pairs on one set of ships, to fit or measure a calibration."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.calibration.candidate_probabilities import candidate_probabilities
from model_training.calibration.open_set import FirstAnswers
from model_training.calibration.searches import (
    EVIDENCE,
    CoarseQueries,
    Searches,
    VesselScores,
    join_rows,
    possible_sizes,
    run_searches,
    score_vessels,
    weigh,
)
from model_training.embedding.chip_table import ChipTable
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.similarity import count_similarities
from service.contract.weighing.specs import ChoiceSpec, SimilarityCounts

Floats = NDArray[np.float64]

REPORTED_SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
FIT_SIZES = (2, 5, 10, 20, *REPORTED_SIZES)
MIN_VESSELS = 20
MAX_REPEATS = 10  # searches per query chip and gallery size

ACROSS = ((Modality.SAR, Modality.OPTICAL), (Modality.OPTICAL, Modality.SAR))
WITHIN = ((Modality.OPTICAL, Modality.OPTICAL), (Modality.SAR, Modality.SAR))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Lone pairs of chips, half of them of one vessel and half of two.

    Attributes:
        evidence: float64 `[N, 4]` in the order of `EVIDENCE`.
        correct: bool `[N]`, whether both show one vessel.
        query_ids: int64 `[N]`, vessel of the query chip.
    """

    evidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    query_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trials:
    """The searches and lone pairs of one set of ships, across sensors or within them."""

    searches: Searches
    pairs: Pairs


def replay(
    table: ChipTable,
    directions: Sequence[tuple[Modality, Modality]] = ACROSS,
    per_size: int = 2000,
    seed: int = 0,
    *,
    preference: float = np.inf,
    coarse: CoarseQueries | None = None,
) -> Trials | None:
    """Replay searches and draw pairs in the given directions; None when ships are too few.

    There are too few when fewer than `MIN_VESSELS` have a query chip and another chip to find.

    Args:
        table: embedded chips of one set of ships.
        directions: (query, gallery) sensors.
        per_size: searches per direction and gallery size; fewer when there are few chips, so that
            no chip is searched more than `MAX_REPEATS` times at a size.
        preference: see `searches.score_vessels`.
        coarse: the queries; None: the chips of the table as they are.
    """
    scores = [
        score_vessels(
            *(table, query_sensor, gallery_sensor, seed), preference=preference, coarse=coarse
        )
        for query_sensor, gallery_sensor in directions
        if _has_queries(table, query_sensor, preference, coarse)
        and table.rows_with(gallery_sensor).size
    ]
    findable = {int(i) for s in scores for i in s.query_ids[s.own >= 0]}
    if len(findable) < MIN_VESSELS:
        return None
    searches = [
        run_searches(
            s, possible_sizes(s, FIT_SIZES), min(per_size, MAX_REPEATS * s.query_ids.size), seed + i
        )
        for i, s in enumerate(scores)
        if possible_sizes(s, FIT_SIZES)
    ]
    pairs = [_draw_pairs(s, seed + i) for i, s in enumerate(scores)]
    return Trials(join_rows(searches), join_rows(pairs))


def first_answers(searches: Searches, spec: ChoiceSpec) -> FirstAnswers:
    """Rank each search's candidates by probability, as the service does; return the first."""
    probability, order = _ranked(searches, spec)
    rows = np.arange(len(order))
    return FirstAnswers(
        query_ids=searches.query_ids,
        enrolled=searches.enrolled,
        correct=searches.correct[rows, order[:, 0]],
        probability=probability[rows, 1 + order[:, 0]],
        none=probability[:, 0],
    )


def first_similarities(searches: Searches, spec: ChoiceSpec) -> NDArray[np.float64]:
    """Return float64 `[S]`: the similarity of each search's most probable candidate."""
    _, order = _ranked(searches, spec)
    similarity = searches.evidence[..., EVIDENCE.index("similarity")]
    return np.asarray(similarity[np.arange(len(order)), order[:, 0]])


def _ranked(searches: Searches, spec: ChoiceSpec) -> tuple[Floats, NDArray[np.int64]]:
    """Return `candidate_probabilities` `[S, 1 + M]`, and the order `[S, M]` of candidates."""
    probability = candidate_probabilities(searches, spec)
    candidates = np.where(searches.present, probability[:, 1:], -1.0)
    return probability, np.argsort(-candidates, axis=1, kind="stable")


def count_first(searches: Searches, spec: ChoiceSpec) -> tuple[SimilarityCounts, ...]:
    """Count similarities of the most probable candidates by sensors and gallery size.

    A larger gallery holds a more similar vessel by chance alone, so each size is counted
    separately, and so are searches whose vessel is enrolled and those whose vessel is not.

    Args:
        searches: see `calibration.searches`.
    """
    similarity = first_similarities(searches, spec)
    counts = []
    for query_sensor, gallery_sensor in itertools.product(Modality, Modality):
        pair = (searches.query_sensor == query_sensor.value) & (
            searches.gallery_sensor == gallery_sensor.value
        )
        for size in np.unique(searches.gallery_vessels[pair]):
            of_size = pair & (searches.gallery_vessels == size)
            counts.append(
                SimilarityCounts(
                    query=query_sensor.value,
                    gallery=gallery_sensor.value,
                    gallery_vessels=int(size),
                    enrolled=count_similarities(similarity[of_size & searches.enrolled]),
                    not_enrolled=count_similarities(similarity[of_size & ~searches.enrolled]),
                )
            )
    return tuple(counts)


def _has_queries(
    table: ChipTable, modality: Modality, preference: float, coarse: CoarseQueries | None
) -> bool:
    rows = table.rows_with(modality)
    if coarse is not None:
        rows = np.intersect1d(rows, coarse.rows)
    elif np.isfinite(preference):
        rows = np.intersect1d(rows, table.rows_with_half_turn)
    return bool((table.vessel_ids[rows] != DISTRACTOR_ID).any())


def _draw_pairs(scores: VesselScores, seed: int) -> Pairs:
    """Pair each query with its own vessel's most similar chip, and with that of another vessel.

    Half of the other vessels are random, half are those nearest to the query in length: users
    compare ships of similar size, not a tanker with a tug.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(scores.own >= 0)
    others = np.empty(rows.size, np.int64)
    for i, row in enumerate(rows):
        comparable = np.isfinite(scores.similarity[row])
        comparable[scores.own[row]] = False
        columns = np.flatnonzero(comparable)
        nearest = columns[np.argmin(scores.length_log_ratio[row, columns])]
        others[i] = nearest if i % 2 else rng.choice(columns)
    queries = np.concatenate([rows, rows])
    columns = np.concatenate([scores.own[rows], others])
    evidence = weigh(scores, queries, columns)
    correct = np.arange(queries.size) < rows.size
    return Pairs(evidence, correct, scores.query_ids[queries])
