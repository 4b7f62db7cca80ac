"""Rank a gallery by distance: average precision and the first true match of every query.

The definition is that of the published HOSS evaluation (MOS and TransOSS, `eval_func`): gallery
chips of the query's own sensor are kept, a query without a true match in the gallery is skipped,
distractors only fill the gallery, and tied distances rank in gallery order. (The published code
sorts ties in no defined order; a stable sort is one of the orders it may return.)
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from service.contract.hoss_names import DISTRACTOR_ID

FloatMatrix = NDArray[np.float64]
Ids = NDArray[np.int64]
Direction = Literal["S2O", "O2S"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
"""SAR queries in an optical gallery, and optical queries in a SAR gallery."""


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Ranks and average precision of the scored queries; row i of every array is one query.

    Attributes:
        identities: int64 `[N]`, the query's vessel id.
        average_precision: float64 `[N]`, 0 < AP <= 1.
        first_match_rank: int64 `[N]`, rank of the best-placed true match, from 1.
        skipped: queries left out because no chip in the gallery shows their vessel.
    """

    identities: Ids
    average_precision: FloatMatrix
    first_match_rank: Ids
    gallery: int
    skipped: int

    def __post_init__(self) -> None:
        shapes = {self.identities.shape, self.average_precision.shape, self.first_match_rank.shape}
        if len(shapes) != 1 or self.identities.ndim != 1:
            raise ValueError(f"per-query scores differ in shape: {sorted(shapes)}")
        ap, rank = self.average_precision, self.first_match_rank
        if np.any((ap <= 0) | (ap > 1)):
            raise ValueError("an average precision lies outside 0 < AP <= 1")
        if np.any((rank < 1) | (rank > self.gallery)):
            raise ValueError(f"a first match lies outside ranks 1..{self.gallery}")
        if np.any((ap == 1) & (rank != 1)):
            raise ValueError("a perfect average precision needs its first match at rank 1")


def cosine_distances(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> FloatMatrix:
    """Return `1 - cosine` of unit vectors, which ranks like the published Euclidean distance.

    Args:
        queries: `[Q, D]`, unit rows.
        gallery: `[G, D]`, unit rows.

    Returns:
        float64 `[Q, G]`, 0..2.
    """
    return np.asarray(1.0 - queries.astype(np.float64) @ gallery.astype(np.float64).T)


def size_distances(queries: FloatMatrix, gallery: FloatMatrix) -> FloatMatrix:
    """Return the Euclidean distance of log length and log width: the size-only floor.

    Length and width are all that the size token carries; their logarithms are compared because
    chips of one ship differ by a ratio (crop, measured GSD), not by metres.

    Args:
        queries: float64 `[Q, 2]`, length and width in metres, positive.
        gallery: float64 `[G, 2]`, length and width in metres, positive.

    Returns:
        float64 `[Q, G]`.
    """
    difference = np.log(queries)[:, None, :] - np.log(gallery)[None, :, :]  # [Q, G, 2]
    return np.asarray(np.sqrt((difference**2).sum(axis=2)))


def score_queries(distances: FloatMatrix, query_ids: Ids, gallery_ids: Ids) -> QueryScores:
    """Rank the gallery for every query; return each query's average precision and first match.

    With r_1 < r_2 < … the ranks of a query's M true matches, `AP = 1/M sum_j j / r_j`.

    Args:
        distances: `[Q, G]`, smaller is more similar, no NaN.
        query_ids: int64 `[Q]`, vessel ids, no distractors.
        gallery_ids: int64 `[G]`, vessel ids; `DISTRACTOR_ID` matches nothing.

    Raises:
        ValueError: shapes do not fit, a distance is NaN, a query is a distractor, or no query has
            a true match.
    """
    if distances.shape != (query_ids.size, gallery_ids.size):
        raise ValueError(
            f"distances are {distances.shape} for {query_ids.size} queries "
            f"and {gallery_ids.size} gallery chips"
        )
    if np.isnan(distances).any():
        raise ValueError("a distance is NaN, so it has no rank")
    if np.any(query_ids == DISTRACTOR_ID):
        raise ValueError("a distractor (id -1) cannot be a query")
    identities, precisions, ranks = [], [], []
    for identity, row in zip(query_ids, distances, strict=True):
        match_ranks = 1 + np.flatnonzero(gallery_ids[np.argsort(row, kind="stable")] == identity)
        if match_ranks.size:
            identities.append(identity)
            precisions.append(np.mean(np.arange(1, match_ranks.size + 1) / match_ranks))
            ranks.append(match_ranks[0])
    if not identities:
        raise ValueError("no query has a true match in the gallery, so there is nothing to score")
    return QueryScores(
        identities=np.array(identities, np.int64),
        average_precision=np.array(precisions, np.float64),
        first_match_rank=np.array(ranks, np.int64),
        gallery=gallery_ids.size,
        skipped=query_ids.size - len(identities),
    )


def score_across_sensors(
    vectors: NDArray[np.float32],
    ids: Ids,
    is_sar: NDArray[np.bool_],
    asked: NDArray[np.bool_] | None = None,
) -> dict[Direction, QueryScores]:
    """Search every chip of one sensor among those of the other, in both directions.

    Args:
        vectors: `[N, D]`, unit rows.
        ids: int64 `[N]`, vessel ids.
        is_sar: bool `[N]`; the other chips are optical.
        asked: bool `[N]`, the chips that are queries; all of them if None.

    Raises:
        ValueError: a query is a distractor, or no query of a direction has a true match.
    """
    scores: dict[Direction, QueryScores] = {}
    for name in DIRECTIONS:
        of_query = is_sar if name == "S2O" else ~is_sar
        query = of_query if asked is None else of_query & asked
        distances = cosine_distances(vectors[query], vectors[~of_query])
        scores[name] = score_queries(distances, ids[query], ids[~of_query])
    return scores
