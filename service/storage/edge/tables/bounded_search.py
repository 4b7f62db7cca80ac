"""Find all rows that may be among the most similar ones, by the bounds of their sketches.

A look at some rows yields a threshold that about as many rows exceed as are needed for a first
answer. The last similarity in this answer is a lower bound of the last one in the true answer, so
that rows whose upper bound is less cannot be in it. The others are compared exactly.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.storage.edge.tables.rows import largest
from service.storage.edge.tables.sketched_vectors import SketchedVectors

SAMPLE = 16_384
"""Rows that are looked at for the first threshold."""

FIRST_ROWS = 8
"""Rows that should exceed the first threshold for each group that is wanted."""

GROWTH = 8
"""How many times more rows exceed the next threshold, when these belong to too few groups."""

ROUNDING = 1e-5
"""More than the error of a bound or a product in float32."""

FEW = 4
"""With less than every fourth row sought, picking them takes less time than passing all."""

Mask = NDArray[np.bool_]
Numbers = NDArray[np.intp]
Values = NDArray[np.float32]


class Similarities:
    """The similarities of one query to all rows: upper bounds, and on request exact ones."""

    def __init__(self, vectors: SketchedVectors, query: Values, bounds: Values) -> None:
        """Keep the bounds, `SketchedVectors.bounds` of the query, float32 `[rows]`."""
        self.bounds = bounds
        self._vectors = vectors
        self._query = query

    def of(self, rows: Numbers) -> Values:
        """Return the exact similarities of these rows, float32 `[K]`."""
        found: Values = self.bounds[rows]
        rough = rows < self._vectors.sketched
        if FEW * np.count_nonzero(rough) > len(self.bounds):
            [products] = self._vectors.products(self._query[None], len(self.bounds))
            found[:] = products[rows]
            return found
        found[rough] = self._vectors.products_of(rows[rough], self._query)
        return found


def best_groups(owners: Numbers, values: Values, limit: int) -> tuple[Numbers, Values]:
    """Return the groups with the highest values, and these, best first.

    Args:
        owners: the groups of K rows.
        values: float32 `[K]`.
    """
    order = np.lexsort((-values, owners))  # group by group, best first
    groups, first = np.unique(owners[order], return_index=True)
    best = values[order][first]
    top = largest(best, limit)
    return groups[top], best[top]


def similar_rows(
    similarities: Similarities,
    passes: Callable[[Numbers | slice], Mask],
    owners: Numbers,
    groups: int,
) -> Numbers:
    """Return all rows that may be the most similar one of one of the first groups.

    Args:
        similarities: of the query to all rows, at least one.
        passes: tells which of some rows are sought.
    """
    bounds = similarities.bounds
    some = _sample(len(bounds), SAMPLE) if len(bounds) > SAMPLE else np.arange(len(bounds))
    seen = bounds[some[passes(some)]]
    wanted = FIRST_ROWS * groups
    while (above := 1 + wanted * len(some) // len(bounds)) < len(seen):
        threshold = np.partition(seen, -above)[-above]
        rows = np.flatnonzero(bounds > threshold)
        rows = rows[passes(rows)]
        _, best = best_groups(owners[rows], similarities.of(rows), groups)
        if len(best) == groups:
            least = best[-1] - ROUNDING
            if least <= threshold:
                rows = np.flatnonzero(bounds >= least)
                rows = rows[passes(rows)]
            similar: Numbers = rows[bounds[rows] >= least]
            return similar
        wanted *= GROWTH
    return np.flatnonzero(passes(slice(None)))


@lru_cache(maxsize=1)
def _sample(rows: int, size: int) -> Numbers:
    """Return random rows, always the same ones; searches follow each other faster than changes."""
    drawn: Numbers = np.random.default_rng(0).integers(rows, size=size)
    return drawn
