"""The classes of the histograms of first candidates' similarities, in calibration and live."""

import numpy as np
from numpy.typing import ArrayLike

# Upper ends, inclusive; narrower where most similarities are. One more class lies above the last.
SIMILARITY_EDGES = (
    *(-0.2, 0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
    *(0.925, 0.95, 0.975, 1.0),
)


def count_similarities(values: ArrayLike) -> tuple[int, ...]:
    """Count cosine similarities `[N]` in each class; the last class is above all edges."""
    place = np.searchsorted(np.asarray(SIMILARITY_EDGES), np.asarray(values, np.float64))
    return tuple(int(n) for n in np.bincount(place, minlength=len(SIMILARITY_EDGES) + 1))
