"""The similarities of first candidates that the calibration expects, to detect drift."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.contract.similarity import SIMILARITY_EDGES
from service.contract.weighing.specs import SimilarityCounts, SimilaritySpec

# The share of queries whose ship is enrolled is unknown, so the expectation is given for each.
ENROLLED_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class ExpectedShare:
    """The share of first candidates, 0 to 1, that are at most as similar as `edge`.

    Attributes:
        enrolled: assumed share of queries whose vessel is enrolled, 0 to 1.
        edge: cosine similarity, or infinity.
        share: the cumulated share, 0 to 1.
    """

    query: str
    gallery: str
    enrolled: float
    edge: float
    share: float


def expected_shares(spec: SimilaritySpec | None, gallery_vessels: int) -> tuple[ExpectedShare, ...]:
    """Return the shares of similarities that the calibration measured, for a gallery of this size.

    There is one share for each pair of sensors, share of enrolled ships and edge. Of the gallery
    sizes of the calibration, the nearest in ratio is used.

    Args:
        spec: the similarities of the bundle's calibration.

    Returns:
        Nothing for a bundle without similarities or with classes other than `SIMILARITY_EDGES`.
    """
    if spec is None or spec.edges != SIMILARITY_EDGES:
        return ()
    nearest: dict[tuple[str, str], SimilarityCounts] = {}
    for counts in spec.searches:
        pair = (counts.query, counts.gallery)
        known = nearest.get(pair)
        if known is None or _distance(counts, gallery_vessels) < _distance(known, gallery_vessels):
            nearest[pair] = counts
    return tuple(share for counts in nearest.values() for share in _cumulated_shares(counts))


def _distance(counts: SimilarityCounts, vessels: int) -> float:
    return abs(math.log(counts.gallery_vessels / max(vessels, 1)))


def _cumulated_shares(counts: SimilarityCounts) -> Iterator[ExpectedShare]:
    """Mix the distributions of enrolled and not enrolled ships in each of `ENROLLED_SHARES`."""
    for enrolled in ENROLLED_SHARES:
        parts = [(enrolled, counts.enrolled), (1.0 - enrolled, counts.not_enrolled)]
        if any(weight > 0 and not sum(classes) for weight, classes in parts):
            continue
        cumulated = sum(
            weight * np.cumsum(classes) / max(sum(classes), 1) for weight, classes in parts
        )
        edges = (*SIMILARITY_EDGES, math.inf)
        for edge, share in zip(edges, np.atleast_1d(cumulated), strict=True):
            yield ExpectedShare(counts.query, counts.gallery, enrolled, edge, float(share))
