"""Similarities are counted in classes."""

import numpy as np
from hypothesis import given, strategies as st

from service.contract.similarity import SIMILARITY_EDGES, count_similarities


def test_an_edge_belongs_to_the_class_below_it() -> None:
    counts = count_similarities([SIMILARITY_EDGES[0], SIMILARITY_EDGES[0] + 1e-9])
    assert counts[:2] == (1, 1)


@given(st.lists(st.floats(-1.0, 1.0), max_size=50))
def test_every_similarity_is_counted_once(values: list[float]) -> None:
    counts = count_similarities(values)
    assert len(counts) == len(SIMILARITY_EDGES) + 1
    assert sum(counts) == len(values)
    below = [int((np.array(values) <= edge).sum()) for edge in SIMILARITY_EDGES]
    assert list(np.cumsum(counts)[:-1]) == below
