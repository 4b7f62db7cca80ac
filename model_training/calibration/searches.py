"""Searches as the service runs them, replayed on embedded chips with many random galleries.

A trial asks one chip about a gallery of G random vessels in which its own vessel stands with
probability one half. The service's rules hold: a vessel counts with its most similar sighting, and
the `RERANKED_VESSELS` most similar vessels are weighed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from model_training.embedding.chip_table import ChipTable
from service.contract.calibration import MAX_SIMILARITY
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.manifest import EvidenceName

EVIDENCE: tuple[EvidenceName, ...] = get_args(EvidenceName)
RERANKED_VESSELS = 50
ENROLLED_SHARE = 0.5
MAX_QUERIES = 2000
_PAD = -np.inf

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Sensors = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class VesselScores:
    """Every query against every vessel of the table, before a gallery is drawn.

    Attributes:
        asking: the sensor of the queries.
        searched: the sensor of the gallery.
        query_ids: int64 `[Q]`, the queries' vessels.
        own: int64 `[Q]`, the column of the query's own vessel, -1 where it has no other chip.
        similarity: float64 `[Q, V]`, of the vessel's most similar chip; -inf where it has none.
        length_log_ratio: float64 `[Q, V]`, |ln| of query length over that chip's length.
        width_log_ratio: float64 `[Q, V]`, the same for the width.
    """

    asking: Modality
    searched: Modality
    query_ids: Ints
    own: Ints
    similarity: Floats
    length_log_ratio: Floats
    width_log_ratio: Floats


@dataclass(frozen=True, slots=True)
class Searches:
    """S searches and their candidates, most similar first; row i of every array is one search.

    Attributes:
        asking: str `[S]`, the sensor of the query.
        searched: str `[S]`, the sensor of the gallery.
        query_ids: int64 `[S]`.
        gallery_vessels: int64 `[S]`, G.
        enrolled: bool `[S]`, whether the query's vessel stands in the gallery.
        evidence: float64 `[S, M, 4]`, in the order of `EVIDENCE`; M = `RERANKED_VESSELS`.
        present: bool `[S, M]`, false where the gallery has fewer than M vessels.
        correct: bool `[S, M]`, whether the candidate is the query's vessel.
    """

    asking: Sensors
    searched: Sensors
    query_ids: Ints
    gallery_vessels: Ints
    enrolled: Bools
    evidence: Floats
    present: Bools
    correct: Bools

    def of_size(self, gallery_vessels: int) -> "Searches":
        """The searches in galleries of one size."""
        return self.where(self.gallery_vessels == gallery_vessels)

    def where(self, keep: Bools) -> "Searches":
        """Some of the searches; `keep` is bool `[S]`."""
        return Searches(**{part.name: getattr(self, part.name)[keep] for part in fields(self)})


def score_vessels(
    table: ChipTable, asking: Modality, searched: Modality, seed: int = 0
) -> VesselScores:
    """Compare labelled chips of one sensor with each vessel's chips of another, or the same.

    A distractor is a vessel of its own that nobody asks about. A chip is never compared with
    itself. Of more than `MAX_QUERIES` chips a random choice asks.

    Args:
        table: embedded chips.
        asking: the sensor of the queries.
        searched: the sensor of the gallery.
        seed: of the choice.

    Raises:
        ValueError: one of the two sensors has no chips.
    """
    ids = table.vessel_ids
    query = table.rows_with(asking)
    query = query[ids[query] != DISTRACTOR_ID]
    query = np.random.default_rng(seed).permutation(query)[:MAX_QUERIES]
    gallery = table.rows_with(searched)
    if not query.size or not gallery.size:
        raise ValueError(f"no {asking.value} chips to ask or no {searched.value} chips to search")
    vectors = table.embeddings.served.astype(np.float64)
    similarity = vectors[query] @ vectors[gallery].T
    similarity[query[:, None] == gallery[None, :]] = _PAD

    distractor = ids[gallery] == DISTRACTOR_ID
    names = np.where(distractor, -1 - np.arange(gallery.size), ids[gallery])
    vessels = np.unique(names)
    best = np.empty((query.size, vessels.size), np.int64)
    for column, vessel in enumerate(vessels):
        members = np.flatnonzero(names == vessel)
        best[:, column] = members[similarity[:, members].argmax(axis=1)]
    rows = np.arange(query.size)
    top = similarity[rows[:, None], best]
    log_size = np.log(table.size_m)
    ratio = np.abs(log_size[query][:, None, :] - log_size[gallery][best])
    column_of = {int(vessel): column for column, vessel in enumerate(vessels)}
    own = np.array([column_of.get(int(identity), -1) for identity in ids[query]], np.int64)
    own[(own >= 0) & ~np.isfinite(top[rows, own])] = -1
    return VesselScores(asking, searched, ids[query], own, top, ratio[..., 0], ratio[..., 1])


def fitting_sizes(scores: VesselScores, wanted: Sequence[int]) -> list[int]:
    """Those gallery sizes for which there are vessels enough without the query's own."""
    others = scores.similarity.shape[1] - 1
    return [size for size in sorted(wanted) if 1 <= size <= others]


def run_searches(
    scores: VesselScores, gallery_sizes: Sequence[int], per_size: int, seed: int
) -> Searches:
    """Run `per_size` searches at each gallery size, each with a fresh gallery, query after query.

    Queries without a mate are asked as well, always as not enrolled.

    Args:
        scores: see `score_vessels`.
        gallery_sizes: numbers of vessels G, see `fitting_sizes`.
        per_size: searches at each size.
        seed: of the galleries.

    Raises:
        ValueError: no gallery size is given or one is too large.
    """
    if not gallery_sizes or list(gallery_sizes) != fitting_sizes(scores, gallery_sizes):
        raise ValueError(
            f"gallery sizes {list(gallery_sizes)} must ascend within 1.."
            f"{scores.similarity.shape[1] - 1}, the vessels there are beside the query's own"
        )
    rng = np.random.default_rng(seed)
    queries = scores.query_ids.size
    plan = [(i % queries, size) for size in gallery_sizes for i in range(per_size)]
    evidence = np.zeros((len(plan), RERANKED_VESSELS, len(EVIDENCE)))
    present = np.zeros((len(plan), RERANKED_VESSELS), np.bool_)
    correct = np.zeros((len(plan), RERANKED_VESSELS), np.bool_)
    enrolled = np.zeros(len(plan), np.bool_)
    for i, (row, size) in enumerate(plan):
        columns, enrolled[i] = _draw_gallery(scores, row, size, rng)
        best = columns[np.argsort(-scores.similarity[row, columns], kind="stable")]
        best = best[:RERANKED_VESSELS]
        present[i, : best.size] = True
        correct[i, : best.size] = best == scores.own[row]
        evidence[i, : best.size] = weigh(scores, np.array(row), best)
    rows = np.array([row for row, _ in plan], np.int64)
    sizes = np.array([size for _, size in plan], np.int64)
    return Searches(
        asking=np.full(rows.size, scores.asking.value),
        searched=np.full(rows.size, scores.searched.value),
        query_ids=scores.query_ids[rows],
        gallery_vessels=sizes,
        enrolled=enrolled,
        evidence=evidence,
        present=present,
        correct=correct,
    )


def _draw_gallery(
    scores: VesselScores, row: int, size: int, rng: np.random.Generator
) -> tuple[Ints, bool]:
    """Columns of `size` random vessels, and whether the query's own is one of them."""
    own = scores.own[row]
    strangers = np.isfinite(scores.similarity[row])
    if own >= 0:
        strangers[own] = False
    others = np.flatnonzero(strangers)
    enrolled = bool(own >= 0 and rng.random() < ENROLLED_SHARE)
    drawn = rng.choice(others, size=min(size - enrolled, others.size), replace=False)
    return (np.append(drawn, own) if enrolled else drawn), enrolled


def weigh(scores: VesselScores, rows: Ints, columns: Ints) -> Floats:
    """The evidence of queries `[N]` and vessels `[N]`, or one query: float64 `[N, 4]`."""
    similarity = scores.similarity[rows, columns]
    values: dict[EvidenceName, Floats] = {
        "similarity": similarity,
        "similarity_z": np.arctanh(np.clip(similarity, -MAX_SIMILARITY, MAX_SIMILARITY)),
        "length_log_ratio": scores.length_log_ratio[rows, columns],
        "width_log_ratio": scores.width_log_ratio[rows, columns],
    }
    return np.stack([values[name] for name in EVIDENCE], axis=1)
