"""Start time and memory with ten thousand sightings."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np

from service.contract.bundle import open_bundle
from service.contract.chip import Modality
from service.contract.fusion import l2_normalise
from service.identity.records import EmbeddedSighting, Sighting, Vessel
from service.settings import SHIPPED_BUNDLE
from service.storage.gallery_edge import open_edge_gallery
from tests.chips import sar_tiff
from tests.e2e.service_process import running_service

VESSELS, SIGHTINGS_EACH = 2000, 5
READY_LIMIT_S = 5.0
MEMORY_LIMIT_MB = 600.0
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def fill(folder: Path) -> None:
    bundle = open_bundle(SHIPPED_BUNDLE)
    width = bundle.manifest.encoder.embedding_width
    gallery = open_edge_gallery(folder, bundle.bundle_id, width)
    rng = np.random.default_rng(0)
    for number in range(VESSELS):
        vessel = Vessel(
            id=UUID(int=number + 1), name=f"V{number:05}", created_at=NOW, updated_at=NOW
        )
        vectors = l2_normalise(rng.normal(size=(SIGHTINGS_EACH, width)).astype(np.float32))
        gallery.put_vessel(vessel)
        gallery.put_sightings(
            [
                EmbeddedSighting(sighting(vessel.id, number * 10 + i, bundle.bundle_id), vectors[i])
                for i in range(SIGHTINGS_EACH)
            ],
            vessel,
        )
    gallery.close()


def sighting(vessel_id: UUID, number: int, bundle_id: str) -> Sighting:
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
        bundle_id=bundle_id,
        recorded_at=NOW,
    )


def test_ready_in_time_and_small_with_ten_thousand_sightings(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "gallery")
    with running_service(tmp_path) as service, service.client() as client:
        for seed in range(20):
            assert client.post("/match", files={"chip": sar_tiff(seed)}).status_code == 200
        body = client.post("/match", files={"chip": sar_tiff(99)}).json()
        assert body["gallery"] == {"vessels": VESSELS, "sightings": VESSELS * SIGHTINGS_EACH}
        assert service.ready_after_s <= READY_LIMIT_S
        assert service.resident_mb() <= MEMORY_LIMIT_MB
