"""Measure what a stored match and a sighting cost an embedded gallery.

`python -m tests.support.sizing` prints JSON: bytes on disk, and of memory that the system cannot
take back (anonymous memory), for one more match with five candidates, one more sighting without its
chip, and one more match in the audit log.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from service.contract.bundle import open_bundle
from service.identity.audit_trail import AuditTrail
from service.identity.records.sightings import EmbeddedSighting
from service.settings import SHIPPED_BUNDLE
from service.storage.audit.log import open_audit_log
from service.storage.edge.gallery import EdgeGallery
from service.storage.edge.matches import EdgeMatchStore
from service.storage.points.match_payloads import match_point
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import BUNDLE, START, make_sighting, make_vessel

WIDTH = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
FIRST, SECOND, BATCH = 1000, 4000, 250


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def cost_of_one(folder: Path, add: Callable[[], None]) -> dict[str, int]:
    """Return the bytes that each record costs between the first thousand and the fourth."""
    before = (0, 0)
    for count in range(BATCH, SECOND + 1, BATCH):
        add()
        if count == FIRST:
            before = (disk_bytes(folder), anonymous_bytes())
    grown = SECOND - FIRST
    return {
        "disk": (disk_bytes(folder) - before[0]) // grown,
        "memory": (anonymous_bytes() - before[1]) // grown,
    }


def measure(folder: Path) -> dict[str, dict[str, int]]:
    """Measure both kinds in a folder."""
    vessels = [make_vessel(name=f"SHIP {n}", type="Tanker", length_m=180.0) for n in range(200)]
    dice = np.random.default_rng(0)
    gallery = EdgeGallery(folder / "gallery", BUNDLE, WIDTH)
    matches = EdgeMatchStore(folder / "matches")

    def add_matches() -> None:
        chosen = [[vessels[i] for i in dice.choice(200, 5, replace=False)] for _ in range(BATCH)]
        matches._shard.put([match_point(make_match_record(five)) for five in chosen])

    def add_sightings() -> None:
        vectors = dice.normal(size=(BATCH, WIDTH)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        gallery.put_sightings([EmbeddedSighting(make_sighting(), one) for one in vectors], None)

    result = {
        "match": cost_of_one(folder / "matches", add_matches),
        "sighting": cost_of_one(folder / "gallery", add_sightings),
    }
    matches.close()
    gallery.close()
    log = open_audit_log(folder / "audit", "one")
    trail = AuditTrail(log, lambda: START, BUNDLE)

    def add_entries() -> None:
        for _ in range(BATCH):
            record = make_match_record(vessels[:5])
            trail.record_match(record.match, record.options)

    result["audit"] = cost_of_one(folder / "audit", add_entries)
    log.close()
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(Path(place))))
