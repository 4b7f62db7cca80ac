"""How similar first candidates ought to be: as they were when the bundle was calibrated."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.contract.manifest import SimilarityCounts, SimilaritySpec
from service.contract.similarity import SIMILARITY_EDGES

# Nobody knows how many of the ships that are asked for are enrolled, so each of these may be.
ENROLLED_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class ExpectedShare:
    """The share of first candidates, 0 to 1, that are at most as similar as `edge`.

    Attributes:
        query: sensor of the chips that ask.
        gallery: sensor of the chips that are searched.
        enrolled: assumed share of queries whose vessel is enrolled, 0 to 1.
        edge: a cosine, or infinity.
        share: the cumulated share.
    """

    query: str
    gallery: str
    enrolled: float
    edge: float
    share: float


def expected_shares(spec: SimilaritySpec | None, gallery_vessels: int) -> tuple[ExpectedShare, ...]:
    """What the calibration expects of a gallery, by sensors, enrolled share and edge.

    Of the gallery sizes that were replayed, the one nearest in ratio counts. A bundle without
    similarities, or with other classes than live ones are counted in, expects nothing.

    Args:
        spec: the bundle's.
        gallery_vessels: how many vessels are enrolled now.
    """
    if spec is None or spec.edges != SIMILARITY_EDGES:
        return ()
    nearest: dict[tuple[str, str], SimilarityCounts] = {}
    for counts in spec.searches:
        pair = (counts.query, counts.gallery)
        known = nearest.get(pair)
        if known is None or _distance(counts, gallery_vessels) < _distance(known, gallery_vessels):
            nearest[pair] = counts
    return tuple(share for counts in nearest.values() for share in _mixtures(counts))


def _distance(counts: SimilarityCounts, vessels: int) -> float:
    return abs(math.log(counts.gallery_vessels / max(vessels, 1)))


def _mixtures(counts: SimilarityCounts) -> Iterator[ExpectedShare]:
    """Distributions of both kinds of search, mixed in each share that both allow."""
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
