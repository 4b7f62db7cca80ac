"""What one set of ships yields for a calibration: replayed searches, and lone pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from model_training.calibration.candidate_probabilities import choice_probabilities
from model_training.calibration.open_set import FirstAnswers
from model_training.calibration.searches import (
    EVIDENCE,
    Searches,
    VesselScores,
    fitting_sizes,
    run_searches,
    score_vessels,
    weigh,
)
from model_training.embedding.chip_table import ChipTable
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.manifest import ChoiceSpec

Floats = NDArray[np.float64]

REPORTED_SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
FIT_SIZES = (2, 5, 10, 20, *REPORTED_SIZES)
MIN_VESSELS = 20
MAX_REPEATS = 10

ACROSS = ((Modality.SAR, Modality.OPTICAL), (Modality.OPTICAL, Modality.SAR))
WITHIN = ((Modality.OPTICAL, Modality.OPTICAL), (Modality.SAR, Modality.SAR))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Lone pairs of chips, as many of one vessel as of two.

    Attributes:
        evidence: float64 `[N, 4]` in the order of `EVIDENCE`.
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


def first_answers(searches: Searches, spec: ChoiceSpec) -> FirstAnswers:
    """Rank each search's candidates by probability, as the service does, and keep the first."""
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
    """float64 `[S]`: the similarity of each search's most probable candidate."""
    _, order = _ranked(searches, spec)
    similarity = searches.evidence[..., EVIDENCE.index("similarity")]
    return np.asarray(similarity[np.arange(len(order)), order[:, 0]])


def _ranked(searches: Searches, spec: ChoiceSpec) -> tuple[Floats, NDArray[np.int64]]:
    """See `choice_probabilities` `[S, 1 + M]`, and the order of candidates `[S, M]`, best first."""
    probability = choice_probabilities(searches, spec)
    candidates = np.where(searches.present, probability[:, 1:], -1.0)
    return probability, np.argsort(-candidates, axis=1, kind="stable")


def _asks(table: ChipTable, modality: Modality) -> bool:
    return bool((table.vessel_ids[table.rows_with(modality)] != DISTRACTOR_ID).any())


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
    evidence = weigh(scores, asked, columns)
    correct = np.arange(asked.size) < rows.size
    return Pairs(evidence, correct, scores.query_ids[asked])


def _join_searches(parts: Sequence[Searches]) -> Searches:
    return Searches(
        **{
            part.name: np.concatenate([getattr(searches, part.name) for searches in parts])
            for part in fields(Searches)
        }
    )


def _join_pairs(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(
        evidence=np.concatenate([p.evidence for p in parts]),
        correct=np.concatenate([p.correct for p in parts]),
        query_ids=np.concatenate([p.query_ids for p in parts]),
    )
