"""Measure what a large scene costs beside the embedding of its chips.

`python -m bench.scene` asks about 200 radar chips of one image among 5,000 vessels, several times,
so that all embeddings but those of the first request come from the cache. It prints the seconds of
each request and of the service's processor time, decoding and framing included.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.filled_gallery import made_up_vessels
from service.contract.bundle import open_bundle
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Vessel
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.folder import GalleryFolder
from service.storage.edge.shard import upsert
from service.storage.points.payloads import compared_payload, sighting_points, vessel_point
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

CHIPS = 200
VESSELS, EACH = 5000, 2
BATCH = 500
ROUNDS = 5


def fill(data: Path) -> None:
    """Write the vessels and their sightings into the folder of a gallery that is not open."""
    bundle = open_bundle(SHIPPED_BUNDLE)
    width = bundle.manifest.encoder.embedding_width
    folder = GalleryFolder(data / "gallery")
    stored = folder.sightings(bundle.bundle_id, width)
    folder.activate(bundle.bundle_id)
    all_made = list(made_up_vessels(bundle.bundle_id, width, VESSELS, EACH))
    for start in range(0, VESSELS, BATCH):
        made = all_made[start : start + BATCH]
        folder.vessels.apply(upsert([vessel_point(vessel) for vessel, _ in made]))
        points = [
            point
            for vessel, sightings in made
            for point in sighting_points(sightings, bundle.bundle_id, width, _always(vessel))
        ]
        for point in points:
            point.payload.update(compared_payload())
        stored.put(points)
    folder.close()


def _always(vessel: Vessel) -> Callable[[Sighting], Vessel]:
    """Return a function that returns the vessel for each of its sightings."""
    return lambda _: vessel


def ask(service: ServiceProcess, client: httpx.Client, note: str, store: bool) -> tuple[float, ...]:
    """Ask about the scene; return seconds, and seconds of processor time."""
    files = [("chips", (f"{seed}.tif", sar_tiff(seed, 120, 30))) for seed in range(CHIPS)]
    form = {"gsd_m": "1.5", "note": note, "framing": "as_is", "store": str(store).lower()}
    began, used = time.perf_counter(), service.processor_s_of_all()
    answer = client.post("/match/scene", data=form, files=files, timeout=300.0)
    answer.raise_for_status()
    return time.perf_counter() - began, service.processor_s_of_all() - used


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "data")
        with running_service(Path(folder)) as service, service.client() as client:
            for number in range(ROUNDS):
                for store in (False, True):
                    lasted, used = ask(service, client, f"round {number}", store)
                    said = "embedded anew" if number + store == 0 else "embeddings cached"
                    kept = "stored" if store else "not stored"
                    print(f"{said}, {kept}: {lasted:.2f} s, {used:.2f} s of processor time")


if __name__ == "__main__":
    main()
