"""The classes in which similarities of first candidates are counted, offline and live."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Upper ends, inclusive; narrower where encoders put most ships. What lies above is counted apart.
SIMILARITY_EDGES = (
    *(-0.2, 0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.925, 0.95, 0.975, 1.0),
)


def count_similarities(
    values: ArrayLike, edges: Sequence[float] = SIMILARITY_EDGES
) -> tuple[int, ...]:
    """How many values lie in each class.

    Args:
        values: cosines, float `[N]`.
        edges: ascending inclusive upper ends.

    Returns:
        `len(edges) + 1` numbers; the last counts what lies above all edges.
    """
    place = np.searchsorted(np.asarray(edges), np.asarray(values, np.float64), side="left")
    return tuple(int(n) for n in np.bincount(place, minlength=len(edges) + 1))
