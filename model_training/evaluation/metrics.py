"""Retrieval metrics on a distance matrix: mAP, CMC R1 / R5 / R10, and their 95 % intervals.

The definition is that of the published HOSS evaluation (MOS and TransOSS, `eval_func`): gallery
chips of the query's own sensor are kept, a query without a true match in the gallery is skipped,
distractors only fill the gallery, and tied distances rank in gallery order. (The published code
sorts ties in no defined order; a stable sort is one of the orders it may return.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm as normal, t as student_t

from service.contract.hoss_names import DISTRACTOR_ID

CMC_RANKS = (1, 5, 10)

FloatMatrix = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Ranks and average precision of the scored queries; row i of every array is one query.

    Attributes:
        identities: int64 `[N]`, the query's vessel id.
        average_precision: float64 `[N]`, 0 < AP <= 1.
        first_match_rank: int64 `[N]`, rank of the best-placed true match, from 1.
        gallery: number of chips searched.
        skipped: queries left out because no chip in the gallery shows their vessel.
    """

    identities: Ids
    average_precision: FloatMatrix
    first_match_rank: Ids
    gallery: int
    skipped: int

    def __post_init__(self) -> None:
        shapes = {
            self.identities.shape,
            self.average_precision.shape,
            self.first_match_rank.shape,
        }
        if len(shapes) != 1 or self.identities.ndim != 1:
            raise ValueError(f"per-query scores differ in shape: {sorted(shapes)}")
        ap, rank = self.average_precision, self.first_match_rank
        if np.any((ap <= 0) | (ap > 1)):
            raise ValueError("an average precision lies outside 0 < AP <= 1")
        if np.any((rank < 1) | (rank > self.gallery)):
            raise ValueError(f"a first match lies outside ranks 1..{self.gallery}")
        if np.any((ap == 1) & (rank != 1)):
            raise ValueError("a perfect average precision needs its first match at rank 1")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and its 95 % interval; None for both ends when there is one identity."""

    value: float
    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise ValueError("a measured value must be finite")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval {self.low}..{self.high} is upside down")

    @property
    def ends(self) -> tuple[float, float]:
        """Return low and high.

        Raises:
            ValueError: the estimate has no interval.
        """
        if self.low is None or self.high is None:
            raise ValueError("one identity alone gives no interval")
        return self.low, self.high

    def document(self) -> dict[str, float | None]:
        """Return value, low and high for a JSON file."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.value:.1f}"
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """mAP and CMC of one protocol in per cent, with 95 % intervals over identities."""

    mean_ap: Estimate
    cmc: dict[int, Estimate]
    queries: int
    gallery: int
    skipped: int

    def __post_init__(self) -> None:
        values = [self.mean_ap.value, *(self.cmc[rank].value for rank in CMC_RANKS)]
        if not all(0 <= value <= 100 for value in values):
            raise ValueError(f"percentages lie outside 0..100: {values}")
        if values[1:] != sorted(values[1:]):
            raise ValueError(f"CMC must not fall with rank: {values[1:]}")
        if self.queries < 1 or self.gallery < 1:
            raise ValueError("a result needs at least one scored query and one gallery chip")


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


def draw_identities(identities: int, draws: int, seed: int) -> FloatMatrix:
    """Draw as many identities as there are, with replacement; return how often each was drawn.

    Chips of one ship resemble each other, so the ship is the unit of the bootstrap (cluster
    bootstrap, Davison and Hinkley 1997, 3.8), not the chip.

    Args:
        identities: their number I.
        draws: number of bootstrap samples B.
        seed: of the draws.

    Returns:
        float64 `[B, I]`, whole numbers; each row sums to I.
    """
    even = np.full(identities, 1.0 / identities)
    counts = np.random.default_rng(seed).multinomial(identities, even, size=draws)
    return np.asarray(counts, np.float64)


def identity_weights(identities: Ids, draws: int, seed: int) -> FloatMatrix:
    """Return how often each row counts in each draw of `draw_identities`.

    Args:
        identities: int64 `[N]`, the vessel of each row.
        draws: number of bootstrap samples B.
        seed: of the draws.

    Returns:
        float64 `[B, N]`, whole numbers.
    """
    names, index = np.unique(identities, return_inverse=True)
    return draw_identities(names.size, draws, seed)[:, index]


def interval_95(samples: FloatMatrix, identities: int) -> tuple[float, float]:
    """Return the 95 % interval of a statistic from its bootstrap samples.

    The expanded percentile interval (Hesterberg 2015, "What teachers should know about the
    bootstrap", 5.3): plain percentiles are too narrow when identities are few.

    Args:
        samples: float64 `[B]`, the statistic in each draw.
        identities: number of identities drawn from, at least 2.
    """
    widen = np.sqrt(identities / (identities - 1)) * student_t.ppf(0.975, identities - 1)
    tail = 100.0 * float(normal.cdf(-widen))
    low, high = np.percentile(samples, [tail, 100.0 - tail])
    return float(low), float(high)


def bootstrap_mean(
    values: FloatMatrix, identities: Ids, draws: int = 2000, seed: int = 0
) -> Estimate:
    """Return the mean over rows and its 95 % percentile interval over identities.

    Args:
        values: float64 `[N]`.
        identities: int64 `[N]`, the vessel of each row.
        draws: number of bootstrap samples.
        seed: of the draws.

    Raises:
        ValueError: there are no rows.
    """
    if values.size == 0:
        raise ValueError("the mean of no values is not defined")
    mean = float(values.mean())
    names, index = np.unique(identities, return_inverse=True)
    if names.size < 2:
        return Estimate(mean, None, None)
    weights = draw_identities(names.size, draws, seed)  # [B, I]
    means = (weights @ np.bincount(index, values)) / (weights @ np.bincount(index))
    return Estimate(mean, *interval_95(means, names.size))


def share_of_right(right: NDArray[np.bool_], identities: Ids) -> Estimate:
    """Return the share of answers that are right and its 95 % interval over identities.

    Answers about one ship resemble each other. The exact binomial interval (Clopper and Pearson)
    is computed for the number of independent answers that would vary as much between samples of
    ships, at least one per ship and at most all answers (Korn and Graubard 1998, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey
    data"). Unlike that of a bootstrap it has a width where all answers are right.

    Args:
        right: bool `[N]`.
        identities: int64 `[N]`, the vessel of each answer.

    Raises:
        ValueError: there are no answers.
    """
    if right.size == 0:
        raise ValueError("the share of no answers is not defined")
    share = float(right.mean())
    names, index = np.unique(identities, return_inverse=True)
    ships = names.size
    if ships < 2:
        return Estimate(share, None, None)
    surplus = np.bincount(index, right - share)  # [I], right answers of a ship beyond its share
    variance = ships / (ships - 1) * float(surplus @ surplus) / right.size**2
    independent = share * (1 - share) / variance if variance else ships
    # The variance itself is estimated, from few ships: widen as Student's t does.
    narrow, wide = student_t.ppf(0.975, right.size - 1), student_t.ppf(0.975, ships - 1)
    trials = float(np.clip(independent * (narrow / wide) ** 2, ships, right.size))
    hits = share * trials
    low = beta.ppf(0.025, hits, trials - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, trials - hits) if hits < trials else 1.0
    return Estimate(share, float(low), float(high))


def summarise(scores: QueryScores, draws: int = 2000, seed: int = 0) -> RetrievalResult:
    """Return mAP and CMC in per cent with their 95 % intervals over identities."""

    def percent(values: FloatMatrix) -> Estimate:
        return bootstrap_mean(100.0 * values, scores.identities, draws, seed)

    return RetrievalResult(
        mean_ap=percent(scores.average_precision),
        cmc={
            rank: percent((scores.first_match_rank <= rank).astype(np.float64))
            for rank in CMC_RANKS
        },
        queries=scores.identities.size,
        gallery=scores.gallery,
        skipped=scores.skipped,
    )
