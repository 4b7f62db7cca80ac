"""The classes of the histograms of first candidates' similarities, in calibration and live."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Upper ends, inclusive; narrower where most similarities are. One more class lies above the last.
SIMILARITY_EDGES = (
    *(-0.2, 0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.925, 0.95, 0.975, 1.0),
)


def count_similarities(
    values: ArrayLike, edges: Sequence[float] = SIMILARITY_EDGES
) -> tuple[int, ...]:
    """Count the values in each class.

    Args:
        values: cosine similarities, float `[N]`.
        edges: ascending inclusive upper ends.

    Returns:
        `len(edges) + 1` counts; the last one is of the values above all edges.
    """
    place = np.searchsorted(np.asarray(edges), np.asarray(values, np.float64), side="left")
    return tuple(int(n) for n in np.bincount(place, minlength=len(edges) + 1))
