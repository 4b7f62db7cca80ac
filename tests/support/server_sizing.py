"""Measure what a sighting costs one copy of a shard on a Qdrant server.

`python -m tests.support.server_sizing` prints JSON: bytes on disk, and of memory that the system
cannot take back (anonymous memory), for one more enrolled sighting. The engine is Qdrant Edge,
which has the segments of the server, with the settings of `service/storage/server`: payload and
exact vectors on disk, vectors of one byte a number and indexes in memory. The network layer and the
log of writes of a server, whose sizes do not grow with the gallery, are not part of it.
"""

import json
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from service.identity.records.base import GeoPoint
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.storage.edge.shard import upsert
from service.storage.points import payloads
from service.storage.server.layout import SIGHTING_INDEXES
from service.storage.server.preparing import QUANTIZATION
from tests.support.fakes.records import BUNDLE, START, make_sighting, make_vessel
from tests.support.sizing import WIDTH, anonymous_bytes, disk_bytes

FIRST, SECOND, BATCH = 4000, 12_000, 500
SIGHTINGS_OF_A_VESSEL = 5
INDEXED_FROM_KB = 1000
"""Low, so that both sizes have a graph and vectors of one byte a number, as large ones do."""

SCHEMAS = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.FLOAT: edge.PayloadSchemaType.Float,
    models.PayloadSchemaType.BOOL: edge.PayloadSchemaType.Bool,
}


def config() -> edge.EdgeConfig:
    scalar = QUANTIZATION.scalar
    assert scalar.type is models.ScalarType.INT8
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=WIDTH, distance=edge.Distance.Dot, on_disk=True),
        on_disk_payload=True,
        hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
        quantization_config=edge.ScalarQuantizationConfig(
            type=edge.ScalarType.Int8, quantile=scalar.quantile, always_ram=scalar.always_ram
        ),
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=INDEXED_FROM_KB, default_segment_number=2
        ),
    )


def build(folder: Path, count: int) -> None:
    """Write a shard of so many enrolled sightings, and let it be optimised."""
    folder.mkdir()
    shard = edge.EdgeShard.create(str(folder), config())
    for field, schema in SIGHTING_INDEXES.items():
        shard.update(edge.UpdateOperation.create_field_index(field, SCHEMAS[schema]))
    dice = np.random.default_rng(0)
    fleet = [
        make_vessel(name=f"SHIP {n}", type="Tanker", length_m=180.0)
        for n in range(count // SIGHTINGS_OF_A_VESSEL)
    ]
    owners = {one.id: one for one in fleet}

    def owner(sighting: Sighting) -> Vessel:
        assert sighting.vessel_id is not None
        return owners[sighting.vessel_id]

    for begin in range(0, count, BATCH):
        points = []
        for number in range(begin, begin + BATCH):
            vessel = fleet[number % len(fleet)]
            vector = dice.normal(size=WIDTH).astype(np.float32)
            sighting = make_sighting(
                vessel,
                modality=("optical", "sar")[number % 2],
                position=GeoPoint(lat=dice.uniform(-60, 60), lon=dice.uniform(-180, 180)),
                captured_at=START + timedelta(minutes=number),
            )
            one = EmbeddedSighting(sighting, vector / np.linalg.norm(vector))
            points += payloads.sighting_points([one], BUNDLE, WIDTH, owner)
        shard.update(upsert(points))
    while shard.optimize():
        pass
    shard.flush()
    if shard.info().indexed_vectors_count < count:
        raise RuntimeError(f"only {shard.info().indexed_vectors_count} of {count} are indexed")
    shard.close()


def memory_of(folder: Path) -> int:
    """Return the anonymous memory that opening a shard takes, in a process of its own."""
    command = [sys.executable, "-m", "tests.support.server_sizing", str(folder)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(folder: Path) -> dict[str, int]:
    """Return the bytes that each sighting costs between the first so many and the second."""
    sizes = []
    for count in (FIRST, SECOND):
        build(folder / str(count), count)
        segments = folder / str(count) / "segments"
        sizes.append((disk_bytes(segments), memory_of(folder / str(count))))
    (disk, memory), (more_disk, more_memory) = sizes
    grown = SECOND - FIRST
    return {"disk": (more_disk - disk) // grown, "memory": (more_memory - memory) // grown}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        before = anonymous_bytes()
        opened = edge.EdgeShard.load(sys.argv[1])
        print(anonymous_bytes() - before)
        opened.close()
    else:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(measure(Path(place))))
