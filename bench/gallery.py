"""Compare searches of the embedded gallery with those of qdrant-client's local mode."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient

from bench.filled_gallery import fill_gallery
from bench.timing import Comparison, compare
from service.contract.fusion import l2_normalise
from service.identity.records.sightings import SightingFilter
from service.storage.edge.gallery import EdgeGallery
from service.storage.server.connection import ServerConnection
from service.storage.server.gallery import ServerGallery

BUNDLE, WIDTH = "bench", 256
VESSELS, SIGHTINGS_EACH = 1000, 5


def compare_galleries() -> Iterator[Comparison]:
    """Yield a comparison per kind of search."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edge = EdgeGallery(Path(folder) / "gallery", BUNDLE, WIDTH)
        local = ServerGallery(
            ServerConnection(QdrantClient(":memory:")), bundle_id=BUNDLE, width=WIDTH
        )
        fill_gallery(edge, BUNDLE, WIDTH, VESSELS, SIGHTINGS_EACH)
        fill_gallery(local, BUNDLE, WIDTH, VESSELS, SIGHTINGS_EACH)
        query = l2_normalise(np.random.default_rng(1).normal(size=WIDTH).astype(np.float32))
        for name, where in (
            (f"search {VESSELS * SIGHTINGS_EACH:,} sightings", SightingFilter()),
            ("the same, one vessel type", SightingFilter(vessel_types=("ferry",))),
        ):
            yield compare(
                name,
                ("embedded", lambda where=where: edge.search(query, where, 10)),  # type: ignore[misc]
                ("qdrant-client local mode", lambda where=where: local.search(query, where, 10)),  # type: ignore[misc]
            )
        edge.close()
