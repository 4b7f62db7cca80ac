"""The gallery: the embedded adapter beside qdrant-client's local mode, the same searches."""

import tempfile
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient

from bench.timing import Comparison, compare
from service.contract.chip import Modality
from service.contract.fusion import l2_normalise
from service.identity.ports import Gallery
from service.identity.records import EmbeddedSighting, Sighting, SightingFilter, Vessel
from service.storage.gallery_edge import open_edge_gallery
from service.storage.gallery_server import open_server_gallery

BUNDLE, WIDTH = "bench", 256
VESSELS, SIGHTINGS_EACH = 1000, 5
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def fill(gallery: Gallery) -> None:
    """Register the same vessels with the same random unit vectors."""
    rng = np.random.default_rng(0)
    for number in range(VESSELS):
        vessel = Vessel(
            id=UUID(int=number + 1),
            name=f"V{number:05}",
            type="tanker" if number % 5 else "ferry",
            created_at=NOW,
            updated_at=NOW,
        )
        vectors = l2_normalise(rng.normal(size=(SIGHTINGS_EACH, WIDTH)).astype(np.float32))
        gallery.put_vessel(vessel)
        rows = [
            EmbeddedSighting(_sighting(vessel.id, number * 10 + i), vector)
            for i, vector in enumerate(vectors)
        ]
        gallery.put_sightings(rows, vessel)


def compare_galleries() -> Iterator[Comparison]:
    """Yield one comparison after the other."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edge = open_edge_gallery(Path(folder) / "gallery", BUNDLE, WIDTH)
        local = open_server_gallery(QdrantClient(":memory:"), bundle_id=BUNDLE, width=WIDTH)
        fill(edge)
        fill(local)
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


def _sighting(vessel_id: UUID, number: int) -> Sighting:
    return Sighting(
        id=UUID(int=2**100 + number),
        vessel_id=vessel_id,
        modality=Modality.OPTICAL,
        gsd_m=0.75,
        gsd_source="default",
        length_m=100.0,
        width_m=20.0,
        bit_depth="uint8",
        chip_sha256=f"{number:064x}",
        bundle_id=BUNDLE,
        recorded_at=NOW,
    )
