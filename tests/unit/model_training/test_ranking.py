"""Ranks and average precision against a brute-force reading of their definition."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from model_training.evaluation.metrics import summarise
from model_training.ranking import QueryScores, cosine_distances, score_queries, size_distances

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Search = tuple[Floats, Ids, Ids]


def ids(*values: int) -> Ids:
    return np.array(values, np.int64)


def brute_force(
    distances: Floats, query_ids: Ids, gallery_ids: Ids
) -> tuple[list[float], list[int]]:
    """Return average precisions and first ranks by sorting (distance, place) pairs, in Python."""
    average_precision: list[float] = []
    first_rank: list[int] = []
    for q, row in zip(query_ids, distances, strict=True):
        order = sorted(range(len(gallery_ids)), key=lambda g: (row[g], g))
        places = [place for place, g in enumerate(order, start=1) if gallery_ids[g] == q]
        if places:
            precisions = [found / place for found, place in enumerate(places, start=1)]
            average_precision.append(sum(precisions) / len(precisions))
            first_rank.append(places[0])
    return average_precision, first_rank


@st.composite
def searches(draw: st.DrawFn) -> Search:
    queries, gallery = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    # few different distances, so that ties are common
    distances = draw(
        hnp.arrays(np.float64, (queries, gallery), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    )
    query_ids = draw(hnp.arrays(np.int64, queries, elements=st.integers(1, 4)))
    gallery_ids = draw(hnp.arrays(np.int64, gallery, elements=st.integers(-1, 4)))
    return distances, query_ids, gallery_ids


@given(searches())
@settings(max_examples=300, deadline=None)
def test_scores_equal_a_brute_force_reading_of_the_definition(search: Search) -> None:
    distances, query_ids, gallery_ids = search
    average_precision, first_rank = brute_force(*search)
    if not average_precision:
        with pytest.raises(ValueError, match="no query has a true match"):
            score_queries(distances, query_ids, gallery_ids)
        return
    scores = score_queries(distances, query_ids, gallery_ids)
    np.testing.assert_allclose(scores.average_precision, average_precision, rtol=1e-12)
    assert scores.first_match_rank.tolist() == first_rank
    assert scores.skipped == len(query_ids) - len(first_rank)
    result = summarise(scores, draws=20)
    for rank in (1, 5, 10):
        share = np.mean([place <= rank for place in first_rank])
        assert result.cmc[rank].value == pytest.approx(100 * share)
    assert result.mean_ap.value == pytest.approx(100 * np.mean(average_precision))


def test_hand_computed_average_precision() -> None:
    # matches at ranks 1, 3 and 4 of 5: (1/1 + 2/3 + 3/4) / 3
    distances = np.array([[0.1, 0.2, 0.3, 0.4, 0.5]])
    scores = score_queries(distances, ids(7), ids(7, 2, 7, 7, -1))
    assert scores.average_precision[0] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert scores.first_match_rank[0] == 1


def test_distractors_lower_the_rank_of_matches_and_match_nothing() -> None:
    distances = np.array([[0.1, 0.2, 0.3]])
    scores = score_queries(distances, ids(7), ids(-1, -1, 7))
    assert scores.first_match_rank[0] == 3
    assert scores.average_precision[0] == pytest.approx(1 / 3)


def test_a_query_without_a_match_is_skipped_and_counted() -> None:
    scores = score_queries(np.zeros((2, 1)), ids(1, 2), ids(2))
    assert scores.identities.tolist() == [2]
    assert scores.skipped == 1


def test_ties_rank_in_gallery_order() -> None:
    assert score_queries(np.zeros((1, 3)), ids(1), ids(2, 1, 1)).first_match_rank[0] == 2


@pytest.mark.parametrize(
    ("distances", "queries", "gallery", "reason"),
    [
        (np.zeros((1, 2)), ids(1), ids(1), "distances are"),
        (np.full((1, 1), np.nan), ids(1), ids(1), "NaN"),
        (np.zeros((1, 1)), ids(-1), ids(-1), "distractor"),
    ],
)
def test_unusable_searches_are_refused(
    distances: Floats, queries: Ids, gallery: Ids, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        score_queries(distances, queries, gallery)


def test_cosine_distance_ranks_as_the_euclidean_distance_of_unit_vectors() -> None:
    rng = np.random.default_rng(0)
    q, g = (rng.normal(size=(n, 16)).astype(np.float32) for n in (5, 40))
    q, g = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (q, g))
    euclidean = np.linalg.norm(q[:, None] - g[None], axis=2)
    assert (cosine_distances(q, g).argsort(axis=1) == euclidean.argsort(axis=1)).all()


def test_size_distance_compares_ratios() -> None:
    distances = size_distances(np.array([[100.0, 20.0]]), np.array([[200.0, 20.0], [100.0, 60.0]]))
    np.testing.assert_allclose(distances, [[np.log(2), np.log(3)]])


@pytest.mark.parametrize(
    ("precision", "rank"), [([0.0], [1]), ([1.1], [1]), ([0.5], [0]), ([0.5], [9]), ([1.0], [2])]
)
def test_impossible_query_scores_are_refused(precision: list[float], rank: list[int]) -> None:
    with pytest.raises(ValueError, match=r"outside|perfect"):
        QueryScores(ids(1), np.array(precision), np.array(rank), gallery=8, skipped=0)
