"""Retrieval metrics in per cent, mAP and CMC R1 / R5 / R10, and 95 % intervals over ships."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm as normal, t as student_t

from model_training.ranking import FloatMatrix, Ids, QueryScores
from service.contract.manifest import Metric

CMC_RANKS = (1, 5, 10)


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
        """Return low and high; raise ValueError if the estimate has no interval."""
        if self.low is None or self.high is None:
            raise ValueError("an interval needs queries of at least two ships")
        return self.low, self.high

    @property
    def percent(self) -> "Estimate":
        """Return the estimate of a share, 0 to 1, in per cent."""
        if self.low is None or self.high is None:
            return Estimate(100.0 * self.value, None, None)
        return Estimate(100.0 * self.value, 100.0 * self.low, 100.0 * self.high)

    def document(self) -> dict[str, float | None]:
        """Return value, low and high for a JSON file."""
        return asdict(self)

    def metric(
        self,
        dataset: str,
        protocol: str,
        name: str,
        *,
        queries: int | None = None,
        gallery: int | None = None,
    ) -> Metric:
        """Return the estimate for a bundle's manifest."""
        return Metric(
            dataset=dataset,
            protocol=protocol,
            name=name,
            **self.document(),
            queries=queries,
            gallery=gallery,
        )

    def __format__(self, spec: str) -> str:
        """Format the value and, in brackets, the ends of the interval, each by `spec` or `.1f`."""
        spec = spec or ".1f"
        if self.low is None or self.high is None:
            return format(self.value, spec)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


def values_and_intervals(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return the value of each estimate, and all intervals under `intervals`, for a JSON file."""
    return {name: estimate.value for name, estimate in estimates.items()} | {
        "intervals": {
            name: None if estimate.low is None else [estimate.low, estimate.high]
            for name, estimate in estimates.items()
        }
    }


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


def draw_identities(identities: int, draws: int, seed: int) -> FloatMatrix:
    """Draw as many identities as there are, with replacement; return how often each was drawn.

    Chips of one ship resemble each other, so the ship is the unit of the bootstrap (cluster
    bootstrap, Davison and Hinkley 1997, 3.8), not the chip.

    Args:
        identities: their number I.
        draws: number of bootstrap samples B.

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
