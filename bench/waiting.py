"""Measure what open sightings cost an enrolment.

`python -m bench.waiting` runs two services, one with 100,000 simulated open sightings and one
without, enrols the same vessels with one chip each in both, alternately, and prints the
median milliseconds of `POST /gallery` and of the processor time that the service uses meanwhile,
which other programs on the machine hardly change, and how much longer it takes where so many wait.
The new chips are compared with the open ones when nobody enrols for a moment.
"""

import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
from numpy.typing import NDArray

from bench.filled_gallery import NOW, like_embeddings
from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Modality
from service.contract.framing.records import UNCHANGED
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.settings import SHIPPED_BUNDLE
from service.storage.edge.folder import GalleryFolder
from service.storage.points.payloads import compared_payload, sighting_points
from tests.support.paths import FLEET
from tests.support.processes.service_process import ServiceProcess, running_service

WAITING = 100_000
BATCH = 1000
ROUNDS = 40
CHIPS = sorted((FLEET / "bounding_box_test").glob("*_RGB.jpg"))


def fill(data: Path, bundle: Bundle) -> None:
    """Write open sightings of random embeddings into the folder of a gallery that is not open."""
    width = bundle.manifest.encoder.embedding_width
    folder = GalleryFolder(data / "gallery")
    sightings = folder.sightings(bundle.bundle_id, width)
    folder.activate(bundle.bundle_id)
    numbers = itertools.count()
    for seed in range(WAITING // BATCH):
        vectors = like_embeddings(BATCH, width, seed)
        rows = [waiting(next(numbers), vector, bundle.bundle_id) for vector in vectors]
        points = sighting_points(rows, bundle.bundle_id, width, lambda _: None)
        for point in points:
            point.payload.update(compared_payload())
        sightings.put(points)
    folder.close()


def waiting(number: int, vector: NDArray[np.float32], bundle_id: str) -> EmbeddedSighting:
    """Return an open sighting; half of them are optical, half SAR."""
    sighting = Sighting(
        id=UUID(int=2**100 + number),
        vessel_id=None,
        modality=Modality.SAR if number % 2 else Modality.OPTICAL,
        gsd_m=1.0,
        gsd_source="default",
        length_m=100.0,
        width_m=20.0,
        bit_depth="float32",
        framing=UNCHANGED,
        chip_sha256=f"{number:064x}",
        bundle_id=bundle_id,
        recorded_at=NOW,
    )
    return EmbeddedSighting(sighting, vector)


def enrol(service: ServiceProcess, client: httpx.Client, number: int) -> tuple[float, float]:
    """Enrol a vessel with one chip; return the milliseconds, and those of processor time."""
    chip = CHIPS[number % len(CHIPS)]
    form = {
        "vessel": json.dumps({"name": f"BENCH {number}"}),
        "chip_metadata": json.dumps([{"modality": "optical", "gsd_m": 0.75}]),
    }
    files = {"chips": (chip.name, chip.read_bytes())}
    started, used = time.perf_counter(), service.processor_s_of_all()
    client.post("/gallery", data=form, files=files).raise_for_status()
    lasted = time.perf_counter() - started
    return lasted * 1000.0, (service.processor_s_of_all() - used) * 1000.0


def measure(services: Sequence[ServiceProcess]) -> NDArray[np.float64]:
    """Enrol alternately, after one warm-up each.

    Returns:
        float64 `[ROUNDS, services, 2]`: milliseconds, and milliseconds of processor time.
    """
    with ExitStack() as stack:
        clients = [stack.enter_context(one.client()) for one in services]
        pairs = list(zip(services, clients, strict=True))
        rounds = [[enrol(*pair, number) for pair in pairs] for number in range(ROUNDS + 1)]
    return np.array(rounds[1:])


def main() -> None:
    """Measure and print."""
    bundle = open_bundle(SHIPPED_BUNDLE)
    with tempfile.TemporaryDirectory() as place:
        empty, full = Path(place) / "empty", Path(place) / "full"
        fill(full / "data", bundle)
        with running_service(empty) as without, running_service(full) as with_waiting:
            found = measure([without, with_waiting])
    for column, name in enumerate(("nobody waits", f"{WAITING:,} wait")):
        print(f"enrolment, {name}: {told(found[:, column])}")
    print(f"longer by {told(found[:, 1] - found[:, 0])}")


def told(milliseconds: NDArray[np.float64]) -> str:
    """Return the medians of durations and processor times `[ROUNDS, 2]` in words."""
    duration, used = np.median(milliseconds, axis=0)
    return f"{duration:.1f} ms, processor time {used:.1f} ms"


if __name__ == "__main__":
    main()
