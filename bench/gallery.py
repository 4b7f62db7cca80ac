"""Compare searches of the embedded gallery with qdrant-client's local mode and with numpy."""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from bench.filled_gallery import fill_gallery, vectors_of
from bench.timing import Comparison, compare
from service.contract.bundle import open_bundle
from service.contract.fusion import l2_normalise
from service.identity.records.sightings import SightingFilter
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.gallery import EdgeGallery
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery

BUNDLE = "bench"
EACH = 5
"""Sightings of each vessel."""
SMALL, LARGE = (2_000,), (20_000,)
"""Vessels of the galleries."""
TOP_VESSELS = 10


def compare_galleries(sizes: Sequence[int]) -> Iterator[Comparison]:
    """Yield the comparisons for galleries of each number of vessels."""
    width = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
    query = l2_normalise(np.random.default_rng(1).normal(size=width).astype(np.float32))
    for vessels in sizes:
        with tempfile.TemporaryDirectory() as folder:
            edge = EdgeGallery(Path(folder) / "gallery", BUNDLE, width)
            fill_gallery(edge, BUNDLE, width, vessels, EACH)
            if vessels in SMALL:
                yield from _compare_local_mode(edge, vessels, width, query)
            yield _compare_numpy(edge, vessels, width, query)
            edge.close()


def _compare_local_mode(
    edge: EdgeGallery, vessels: int, width: int, query: NDArray[np.float32]
) -> Iterator[Comparison]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = QdrantClient(":memory:")
        local = ServerGallery(ServerConnection(client), bundle_id=BUNDLE, width=width)
        fill_gallery(local, BUNDLE, width, vessels, EACH)
        for name, where in (
            (f"search {vessels * EACH:,} sightings", SightingFilter()),
            ("the same, one vessel type", SightingFilter(vessel_types=("ferry",))),
        ):
            yield compare(
                name,
                ("embedded", lambda where=where: edge.search(query, where, TOP_VESSELS)),  # type: ignore[misc]
                (
                    "qdrant-client's local mode",
                    lambda where=where: local.search(query, where, TOP_VESSELS),  # type: ignore[misc]
                ),
            )
        local.close()


def _compare_numpy(
    edge: EdgeGallery, vessels: int, width: int, query: NDArray[np.float32]
) -> Comparison:
    """Compare with the bare exact product, which yields sightings but neither vessels nor facts."""
    matrix = np.concatenate(list(vectors_of(vessels, EACH, width)))  # [vessels EACH, width]
    top = TOP_VESSELS * EACH

    def product() -> None:
        cosines = matrix @ query
        np.argpartition(-cosines, top)[:top]

    return compare(
        f"find {TOP_VESSELS} vessels among {vessels * EACH:,} sightings",
        ("embedded", lambda: edge.search(query, SightingFilter(), TOP_VESSELS)),
        (f"numpy's product, the {top} nearest sightings alone", product),
    )
