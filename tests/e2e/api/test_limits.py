"""Start time and memory with ten thousand sightings."""

from pathlib import Path

from bench.filled_gallery import fill_gallery
from service.contract.bundle import open_bundle
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.gallery import EdgeGallery
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import running_service

VESSELS, SIGHTINGS_EACH = 2000, 5
READY_LIMIT_S = 5.0
MEMORY_LIMIT_MB = 600.0


def fill(folder: Path) -> None:
    bundle = open_bundle(SHIPPED_BUNDLE)
    width = bundle.manifest.encoder.embedding_width
    gallery = EdgeGallery(folder, bundle.bundle_id, width)
    fill_gallery(gallery, bundle.bundle_id, width, VESSELS, SIGHTINGS_EACH)
    gallery.close()


def test_start_time_and_memory_stay_within_limits(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "gallery")
    with running_service(tmp_path) as service, service.client() as client:
        for seed in range(20):
            assert client.post("/match", files={"chip": sar_tiff(seed)}).status_code == 200
        body = client.post("/match", files={"chip": sar_tiff(99)}).json()
        assert body["gallery"] == {"vessels": VESSELS, "sightings": VESSELS * SIGHTINGS_EACH}
        assert service.resident_mb() <= MEMORY_LIMIT_MB
    # The fastest of up to three starts, without waiting for a processor that other tests use.
    starts = [service.ready_after_s - service.hindered_s]
    while min(starts) > READY_LIMIT_S and len(starts) < 3:
        with running_service(tmp_path) as again:
            starts.append(again.ready_after_s - again.hindered_s)
    assert min(starts) <= READY_LIMIT_S, starts
