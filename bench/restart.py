"""Measure how long a service with a large embedded gallery takes until it is ready.

`python -m bench.restart 200000` fills a gallery with so many simulated sightings of vessels, ten of
each, and starts a service on it: first without saved search tables, so that it reads all records;
then after `kill -9`, when it has enrolled some chips; then after a stop. It prints the seconds, and
those of processor time, which other programs on the machine hardly change.
"""

import argparse
import tempfile
from itertools import islice
from pathlib import Path

from bench.filled_gallery import made_up_vessels
from bench.waiting import enrol
from service.contract.bundle import Bundle, open_bundle
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.folder import SEARCHED_INDEXES, GalleryFolder
from service.storage.points.payloads import sighting_points, vessel_among, vessel_point
from tests.support.processes.service_process import processor_s, running_service

EACH = 10
VESSELS_AT_ONCE = 100
ENROLLED = 20
"""Vessels that are enrolled before the kill."""


def fill(data: Path, bundle: Bundle, vessels: int) -> None:
    """Write vessels and their sightings into the folder of a gallery that is not open."""
    width = bundle.manifest.encoder.embedding_width
    folder = GalleryFolder(data / "gallery")
    sightings = folder.sightings(bundle.bundle_id, width, SEARCHED_INDEXES)
    folder.activate(bundle.bundle_id)
    made_up = made_up_vessels(bundle.bundle_id, width, vessels, EACH)
    while some := list(islice(made_up, VESSELS_AT_ONCE)):
        folder.vessels.put([vessel_point(vessel) for vessel, _ in some])
        for vessel, own in some:
            owner = vessel_among({vessel.id: vessel})
            sightings.put(sighting_points(own, bundle.bundle_id, width, owner))
    folder.close()


def ready_after(place: Path, kill: bool) -> str:
    """Start the service, enrol some vessels, and stop it or kill it; return how long it took."""
    with running_service(place) as service:
        used_s = processor_s(service.process.pid)
        with service.client() as client:
            for number in range(ENROLLED):
                enrol(service, client, number)
        if kill:
            service.process.kill()
            service.process.wait()
    return f"{service.ready_after_s:.1f} s, {used_s:.1f} s of processor time"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.restart", description=__doc__)
    parser.add_argument("sightings", type=int)
    bundle = open_bundle(SHIPPED_BUNDLE)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        fill(place / "data", bundle, parser.parse_args().sightings // EACH)
        print(f"ready after reading all records: {ready_after(place, kill=True)}", flush=True)
        print(f"ready after a kill: {ready_after(place, kill=False)}", flush=True)
        print(f"ready after a stop: {ready_after(place, kill=False)}", flush=True)


if __name__ == "__main__":
    main()
