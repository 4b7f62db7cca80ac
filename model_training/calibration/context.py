"""Fit the likelihood ratios of registers, types and voyages, and measure the combined evidence.

The ratio of each fact is the share of the ships themselves with that value over the share of the
other candidates, in bins around the knots of a table, never rising from knot to knot. Facts are not
independent of each other and of the chips (a query's measured length is compared with the chip and
with the register), and the candidates of a search are look-alikes. So each table is multiplied by a
weight of at most 1 and shifted by an offset, fitted by maximum likelihood on all evidence together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_training.calibration.candidate_probabilities import log_softmax, scores_of
from model_training.calibration.reliability import Reliability, measure_reliability
from model_training.calibration.searches import Searches
from model_training.calibration.simulated_context import Context, draw_context
from service.contract.manifest import Metric
from service.contract.weighing.context import IMPOSSIBLE, look_up
from service.contract.weighing.specs import ChoiceSpec, ContextSpec, RatioTable, VoyageTable

SIZE_KNOTS = (0.0, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16, 0.2, 0.3, 0.5)
SPEED_KNOTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
VOYAGE_HOURS = (12.0, 72.0, 720.0)
MAX_LOG_RATIO = float(np.log(10.0))
MIN_LOG_RATIO = float(np.log(0.01))
MAX_OFFSET = 1.0
MAX_SEARCHES = 8000
TERMS = ("register_length", "register_width", "type", "voyage")
PROTOCOL = "combined evidence, simulated registers and voyages"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CombinedReport:
    """The calibration of all evidence together on simulated registers and voyages."""

    first_candidate: Reliability
    none: Reliability
    searches: int

    def parts(self) -> dict[str, Reliability]:
        """Return the reliability of both probabilities by name."""
        return {"first candidate": self.first_candidate, "none": self.none}


def fit_context(
    searches: Searches, match: ChoiceSpec, fitted_on: str, seed: int = 0
) -> ContextSpec:
    """Fit the tables and their weights on simulated registers and voyages.

    Args:
        searches: of validation ships, across sensors.
    """
    context = draw_context(_some(searches, seed), seed)
    unweighted = _tables(context, fitted_on)
    terms = log_ratios(context, unweighted)
    none, base = scores_of(context.searches, match)
    outcome = _outcome(context.searches)
    known = [(terms[name] != 0.0).astype(np.float64) for name in TERMS]
    stacked = np.stack([*(terms[name] for name in TERMS), *known])  # [2 T, S, M]
    fixed = np.where(context.impossible, IMPOSSIBLE, 0.0)

    def loss_and_gradient(theta: Floats) -> tuple[float, Floats]:
        scores = np.where(
            context.searches.present, base + fixed + np.tensordot(theta, stacked, 1), -np.inf
        )
        logs = log_softmax(none, scores)
        surplus = (np.exp(logs) - outcome)[:, 1:] / len(outcome)
        return float(-logs[outcome].mean()), np.tensordot(stacked, surplus, 2)

    count = len(TERMS)
    optimum = minimize(
        loss_and_gradient,
        np.array([0.7] * count + [0.0] * count),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * count + [(-MAX_OFFSET, MAX_OFFSET)] * count,
    )
    weights, offsets = optimum.x[:count].tolist(), optimum.x[count:].tolist()
    return _weighted(
        unweighted, dict(zip(TERMS, weights, strict=True)), dict(zip(TERMS, offsets, strict=True))
    )


def measure_combined(
    searches: Searches, match: ChoiceSpec, spec: ContextSpec, seed: int = 0
) -> CombinedReport:
    """Measure the calibration of all evidence on freshly drawn registers and voyages."""
    probability, context = combined_probabilities(searches, match, spec, seed)
    first = probability[:, 1:].argmax(axis=1)
    rows = np.arange(len(first))
    ids = context.searches.query_ids
    right = context.searches.correct[rows, first]
    found = np.asarray(context.searches.correct.any(axis=1))
    return CombinedReport(
        first_candidate=measure_reliability(probability[rows, 1 + first], right, ids, seed=seed),
        none=measure_reliability(probability[:, 0], ~found, ids, seed=seed),
        searches=len(first),
    )


def combined_probabilities(
    searches: Searches, match: ChoiceSpec, spec: ContextSpec, seed: int
) -> tuple[Floats, Context]:
    """Return the probabilities `[S, 1 + M]` of searches with simulated registers and voyages."""
    context = draw_context(_some(searches, seed), seed)
    none, base = scores_of(context.searches, match)
    total = base + np.where(context.impossible, IMPOSSIBLE, 0.0)
    total += np.sum(list(log_ratios(context, spec).values()), axis=0)
    scores = np.where(context.searches.present, total, -np.inf)
    return np.asarray(np.exp(log_softmax(none, scores))), context


def combined_metrics(report: CombinedReport | None, dataset: str) -> tuple[Metric, ...]:
    """Return the calibration errors for a bundle's manifest, 0 to 1; none without a report."""
    if report is None:
        return ()
    return tuple(
        reliability.ece.metric(dataset, PROTOCOL, f"ECE {name} (0 to 1)", queries=report.searches)
        for name, reliability in report.parts().items()
    )


def log_ratios(context: Context, spec: ContextSpec) -> dict[str, Floats]:
    """Return the ln likelihood ratio `[S, M]` of each term; 0 where its fact is unknown.

    An impossible voyage is not in here: it counts without a table.
    """
    agrees = np.where(context.type_agrees == 1.0, spec.type_agrees, spec.type_differs)
    voyage = np.zeros_like(context.hours)
    shorter = 0.0
    for part in spec.voyage:
        within = (context.hours > shorter) & (context.hours <= part.max_hours)
        voyage = np.where(within, look_up(part.table, context.speed_ratio), voyage)
        shorter = part.max_hours
    values = {
        "register_length": look_up(spec.register_length, context.register_length),
        "register_width": look_up(spec.register_width, context.register_width),
        "type": np.where(np.isnan(context.type_agrees), np.nan, agrees),
        "voyage": np.where(context.impossible, 0.0, voyage),
    }
    return {name: np.nan_to_num(value, nan=0.0) for name, value in values.items()}


def _tables(context: Context, fitted_on: str) -> ContextSpec:
    own = context.searches.correct & context.searches.present
    other = context.searches.present & ~own

    def table(values: Floats, knots: tuple[float, ...], where: NDArray[np.bool_]) -> RatioTable:
        known = where & np.isfinite(values)
        possible = known & ~context.impossible if knots is SPEED_KNOTS else known
        return ratio_table(
            values[possible & own],
            values[possible & other],
            knots,
            int((known & own).sum()),
            int((known & other).sum()),
        )

    voyages, shorter = [], 0.0
    for hours in VOYAGE_HOURS:
        within = (context.hours > shorter) & (context.hours <= hours)
        voyages.append(
            VoyageTable(max_hours=hours, table=table(context.speed_ratio, SPEED_KNOTS, within))
        )
        shorter = hours
    named = np.isfinite(context.type_agrees)
    of_own = float((context.type_agrees[named & own] == 1.0).mean())
    of_other = float((context.type_agrees[named & other] == 1.0).mean())
    return ContextSpec(
        register_length=table(context.register_length, SIZE_KNOTS, own | other),
        register_width=table(context.register_width, SIZE_KNOTS, own | other),
        type_agrees=float(np.log(of_own / of_other)),
        type_differs=float(np.log((1.0 - of_own) / (1.0 - of_other))),
        voyage=tuple(voyages),
        fitted_on=f"{fitted_on}, simulated registers and voyages",
    )


def ratio_table(
    own: Floats, other: Floats, knots: tuple[float, ...], own_total: int, other_total: int
) -> RatioTable:
    """Return ln(share of own / share of other) around each knot, never rising from knot to knot.

    Neighbouring bins whose ratio would rise are pooled: a value nearer to zero is never worse.

    Args:
        own: values of the ships themselves, `[N]`.
        other: values of other candidates, `[N']`.
        knots: ascending.
        own_total: number that the share of own is of, at least N.
        other_total: number that the share of other is of, at least N'.
    """
    ends = (np.array(knots[1:]) + np.array(knots[:-1])) / 2.0
    pools: list[tuple[Floats, int]] = []  # counts of own and other, and the number of bins
    counts = [
        np.bincount(np.searchsorted(ends, values), minlength=len(knots)) + 0.5
        for values in (own, other)
    ]
    for pair in np.stack(counts, axis=1):
        pools.append((pair, 1))
        while len(pools) > 1 and _ratio(pools[-1]) > _ratio(pools[-2]):
            (last, bins), (before, more) = pools.pop(), pools.pop()
            pools.append((before + last, bins + more))
    shift = np.log((other_total + 0.5 * len(knots)) / (own_total + 0.5 * len(knots)))
    raw = np.repeat([np.log(_ratio(pool)) + shift for pool in pools], [pool[1] for pool in pools])
    return RatioTable(
        at=knots, log_ratio=tuple(np.clip(raw, MIN_LOG_RATIO, MAX_LOG_RATIO).tolist())
    )


def _ratio(pool: tuple[Floats, int]) -> float:
    return float(pool[0][0] / pool[0][1])


def _weighted(
    spec: ContextSpec, weights: Mapping[str, float], offsets: Mapping[str, float]
) -> ContextSpec:
    """Multiply each term's log ratios by its weight, and add its offset."""

    def adjusted(table: RatioTable, name: str) -> RatioTable:
        values = tuple(offsets[name] + weights[name] * value for value in table.log_ratio)
        return RatioTable(at=table.at, log_ratio=values)

    return ContextSpec(
        register_length=adjusted(spec.register_length, "register_length"),
        register_width=adjusted(spec.register_width, "register_width"),
        type_agrees=offsets["type"] + weights["type"] * spec.type_agrees,
        type_differs=offsets["type"] + weights["type"] * spec.type_differs,
        voyage=tuple(
            VoyageTable(max_hours=part.max_hours, table=adjusted(part.table, "voyage"))
            for part in spec.voyage
        ),
        fitted_on=spec.fitted_on,
    )


def _outcome(searches: Searches) -> NDArray[np.bool_]:
    """Return bool `[S, 1 + M]`: what is true of each search."""
    found = np.asarray(searches.correct.any(axis=1))
    return np.concatenate([~found[:, None], searches.correct], axis=1)


def _some(searches: Searches, seed: int) -> Searches:
    """Return at most `MAX_SEARCHES` random searches."""
    count = searches.query_ids.size
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.default_rng(seed).permutation(count)[:MAX_SEARCHES]] = True
    return searches.where(chosen)
