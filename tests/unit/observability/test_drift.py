"""The expected similarities, and their exposition in the same classes as live similarities."""

import math
import re

import pytest

from service.contract.similarity import SIMILARITY_EDGES, count_similarities
from service.contract.weighing.specs import SimilarityCounts, SimilaritySpec
from service.observability.drift import ENROLLED_SHARES, expected_shares
from service.observability.metrics import Telemetry

SIMILAR, DISSIMILAR = [0.97] * 8 + [0.72] * 2, [0.45] * 4


def counts(
    gallery_vessels: int, enrolled: list[float], not_enrolled: list[float]
) -> SimilaritySpec:
    return SimilaritySpec(
        edges=SIMILARITY_EDGES,
        searches=(
            SimilarityCounts(
                query="sar",
                gallery="optical",
                gallery_vessels=gallery_vessels,
                enrolled=count_similarities(enrolled),
                not_enrolled=count_similarities(not_enrolled),
            ),
        ),
    )


def test_shares_are_cumulated_and_mixed() -> None:
    shares = expected_shares(counts(10, SIMILAR, DISSIMILAR), 10)
    by_key = {(expected.enrolled, expected.edge): expected.share for expected in shares}
    assert len(by_key) == len(ENROLLED_SHARES) * (len(SIMILARITY_EDGES) + 1)
    assert by_key[1.0, 0.75] == pytest.approx(0.2)
    assert by_key[0.0, 0.75] == pytest.approx(1.0)
    assert by_key[0.25, 0.75] == pytest.approx(0.25 * 0.2 + 0.75 * 1.0)
    assert by_key[0.25, 0.5] == pytest.approx(0.75)
    assert all(by_key[share, math.inf] == pytest.approx(1.0) for share in ENROLLED_SHARES)


@pytest.mark.parametrize(("vessels", "nearest"), [(0, 10), (12, 10), (31, 10), (33, 100), (9, 10)])
def test_gallery_size_nearest_in_ratio_is_used(vessels: int, nearest: int) -> None:
    small, large = counts(10, DISSIMILAR, DISSIMILAR), counts(100, SIMILAR, SIMILAR)
    both = SimilaritySpec(edges=SIMILARITY_EDGES, searches=small.searches + large.searches)
    chosen = small if nearest == 10 else large
    assert expected_shares(both, vessels) == expected_shares(chosen, vessels)


def test_nothing_is_expected_without_counts_in_the_same_classes() -> None:
    other = SimilaritySpec(edges=(0.0,), searches=())
    assert expected_shares(None, 10) == ()
    assert expected_shares(other, 10) == ()
    only_not_enrolled = expected_shares(counts(10, [], DISSIMILAR), 10)
    assert {expected.enrolled for expected in only_not_enrolled} == {0.0}


def test_expected_and_live_similarities_share_their_edges_in_prometheus() -> None:
    telemetry = Telemetry()
    telemetry.similarity.labels("sar", "optical").observe(0.5)
    telemetry.expect_similarities(expected_shares(counts(10, SIMILAR, DISSIMILAR), 10))
    text = telemetry.exposition()[0].decode()
    live = re.findall(r'crossfix_top_similarity_bucket\{.*le="([^"]+)"', text)
    expected = re.findall(
        r'crossfix_expected_similarity\{enrolled="0.25",gallery="optical",le="([^"]+)"', text
    )
    assert live == expected
    assert live[-1] == "+Inf"
    telemetry.expect_similarities(())
    assert "crossfix_expected_similarity{" not in telemetry.exposition()[0].decode()
