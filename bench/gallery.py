"""The gallery: the embedded adapter beside qdrant-client's local mode, the same searches."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient

from bench.crowd import crowd
from bench.timing import Comparison, compare
from service.contract.fusion import l2_normalise
from service.identity.records.sightings import SightingFilter
from service.storage.edge.gallery import EdgeGallery
from service.storage.server.gallery import ServerGallery

BUNDLE, WIDTH = "bench", 256
VESSELS, SIGHTINGS_EACH = 1000, 5


def compare_galleries() -> Iterator[Comparison]:
    """Yield one comparison after the other."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edge = EdgeGallery(Path(folder) / "gallery", BUNDLE, WIDTH)
        local = ServerGallery(QdrantClient(":memory:"), bundle_id=BUNDLE, width=WIDTH)
        crowd(edge, BUNDLE, WIDTH, VESSELS, SIGHTINGS_EACH)
        crowd(local, BUNDLE, WIDTH, VESSELS, SIGHTINGS_EACH)
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
