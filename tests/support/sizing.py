"""Measure what a stored match and a sighting cost an embedded gallery.

`python -m tests.support.sizing` prints JSON: bytes on disk, and of memory that the system cannot
take back (anonymous memory), for one more match with five candidates, one more open sighting
without its chip, and one more match in the audit log. Each sighting has a chip, a place and a time
of its own.
"""

import itertools
import json
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from service.contract.bundle import open_bundle
from service.identity.audit_trail import AuditTrail
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.settings import SHIPPED_BUNDLE
from service.storage.audit.log import open_audit_log
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.matches import EdgeMatchStore
from service.storage.points.match_payloads import match_point
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import BUNDLE, START, make_sighting, make_vessel

WIDTH = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
FIRST, SECOND, BATCH = 2000, 10_000, 500
AUDIT_ENTRIES = 2000
"""Fewer, because each is flushed to disk alone, and each takes as much as the others."""


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def cost_of_one(
    folder: Path, add: Callable[[], None], first: int = FIRST, second: int = SECOND
) -> dict[str, int]:
    """Return the bytes that each record costs between the first so many and the second."""
    before = (0, 0)
    for count in range(BATCH, second + 1, BATCH):
        add()
        if count == first:
            before = (disk_bytes(folder), anonymous_bytes())
    grown = second - first
    return {
        "disk": (disk_bytes(folder) - before[0]) // grown,
        "memory": (anonymous_bytes() - before[1]) // grown,
    }


def measure(folder: Path) -> dict[str, dict[str, int]]:
    """Measure both kinds in a folder."""
    vessels = [make_vessel(name=f"SHIP {n}", type="Tanker", length_m=180.0) for n in range(200)]
    dice = np.random.default_rng(0)
    minutes = (timedelta(minutes=number) for number in itertools.count())

    def query() -> Sighting:
        at = GeoPoint(lat=float(dice.uniform(-60, 60)), lon=float(dice.uniform(-180, 180)))
        return make_sighting(modality="sar", position=at, captured_at=START + next(minutes))

    log = open_audit_log(folder / "audit", "one")
    trail = AuditTrail(log, lambda: START, BUNDLE)

    def add_entries() -> None:
        for _ in range(BATCH):
            record = make_match_record(vessels[:5], query())
            trail.record_match(record.match, record.options)

    # First, because a closed gallery gives its memory back while the next records are written.
    audit = cost_of_one(folder / "audit", add_entries, BATCH, AUDIT_ENTRIES)
    log.close()
    gallery = EdgeGallery(folder / "gallery", BUNDLE, WIDTH)
    matches = EdgeMatchStore(folder / "matches")

    def add_matches() -> None:
        chosen = [[vessels[i] for i in dice.choice(200, 5, replace=False)] for _ in range(BATCH)]
        matches._shard.put([match_point(make_match_record(five, query())) for five in chosen])

    def add_sightings() -> None:
        vectors = dice.normal(size=(BATCH, WIDTH)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        gallery.put_sightings([EmbeddedSighting(query(), one) for one in vectors], None)

    result = {
        "audit": audit,
        "match": cost_of_one(folder / "matches", add_matches),
        "sighting": cost_of_one(folder / "gallery", add_sightings),
    }
    matches.close()
    gallery.close()
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(Path(place))))
