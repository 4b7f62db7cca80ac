"""Measure what a stored match and a sighting cost an embedded gallery.

`python -m tests.support.sizing` prints JSON: bytes on disk, and of memory that the system cannot
take back (anonymous memory), for one more match with five candidates, one more open sighting
without its chip, one more match in the audit log, and one more sighting of a vessel.
"""

import ctypes
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from service.contract.bundle import open_bundle
from service.identity.audit_trail import AuditTrail
from service.identity.records.base import GeoPoint
from service.identity.records.match_records import MatchRecord
from service.identity.records.sightings import EmbeddedSighting, Sighting
from service.identity.records.vessels import Vessel
from service.settings import SHIPPED_BUNDLE
from service.storage.audit.log import open_audit_log
from service.storage.edge.gallery import EdgeGallery
from service.storage.points.match_payloads import match_point
from service.storage.sqlite.matches import SqliteMatchStore
from tests.support.fakes.match_records import make_match_record
from tests.support.fakes.records import BUNDLE, START, make_sighting, make_vessel

Cost = dict[str, int]

WIDTH = open_bundle(SHIPPED_BUNDLE).manifest.encoder.embedding_width
FIRST, SECOND, BATCH = 6000, 16_000, 500
AUDIT_ENTRIES = 2000
"""Fewer, because each is flushed to disk alone, and each takes as much as the others."""


def anonymous_bytes() -> int:
    """Return the anonymous memory in use, after the allocator gave back what is free."""
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def disk_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder, also of those that have no name any more."""
    handles = (path for path in Path("/proc/self/fd").iterdir() if path.exists())
    unnamed = (path for path in handles if str(path.readlink()).startswith(str(folder)))
    files = [path.stat() for path in (*folder.rglob("*"), *unnamed) if path.is_file()]
    return sum({one.st_ino: one.st_blocks * 512 for one in files}.values())


def cost_of_one(
    folder: Path, add: Callable[[], None], first: int = FIRST, second: int = SECOND
) -> Cost:
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


class Ships:
    """Makes matches and sightings, each with a chip, a place and a time of its own."""

    def __init__(self) -> None:
        self.vessels = [
            make_vessel(name=f"SHIP {n}", type="Tanker", length_m=180.0) for n in range(200)
        ]
        self._dice = np.random.default_rng(0)
        self._minutes = (timedelta(minutes=number) for number in itertools.count())

    def match(self) -> MatchRecord:
        """Return a match with five candidates."""
        five = [self.vessels[i] for i in self._dice.choice(200, 5, replace=False)]
        return make_match_record(five, self._sighting(None))

    def sightings(self, vessel: Vessel | None) -> list[EmbeddedSighting]:
        """Return a batch of sightings."""
        vectors = self._dice.normal(size=(BATCH, WIDTH)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [EmbeddedSighting(self._sighting(vessel), one) for one in vectors]

    def _sighting(self, vessel: Vessel | None) -> Sighting:
        lat, lon = (float(self._dice.uniform(-limit, limit)) for limit in (60, 180))
        return make_sighting(
            vessel,
            modality="sar",
            position=GeoPoint(lat=lat, lon=lon),
            captured_at=START + next(self._minutes),
        )


def of_matches(folder: Path) -> Cost:
    """Measure match records."""
    ships, store = Ships(), SqliteMatchStore(folder / "matches.sqlite")

    def add() -> None:
        store._matches.put([match_point(ships.match()) for _ in range(BATCH)])

    return cost_of_one(folder, add)


def of_sightings(folder: Path, enrolled: bool) -> Cost:
    """Measure sightings, of one vessel or open."""
    ships, gallery = Ships(), EdgeGallery(folder, BUNDLE, WIDTH)
    vessel = ships.vessels[0] if enrolled else None
    return cost_of_one(folder, lambda: gallery.put_sightings(ships.sightings(vessel), vessel))


def of_audit_entries(folder: Path) -> Cost:
    """Measure entries of matches."""
    ships = Ships()
    trail = AuditTrail(open_audit_log(folder, "one"), lambda: START, BUNDLE)

    def add() -> None:
        for _ in range(BATCH):
            record = ships.match()
            trail.record_match(record.match, record.options)

    return cost_of_one(folder, add, BATCH, AUDIT_ENTRIES)


KINDS: dict[str, Callable[[Path], Cost]] = {
    "match": of_matches,
    "open": partial(of_sightings, enrolled=False),
    "audit": of_audit_entries,
    "enrolled": partial(of_sightings, enrolled=True),
}


def main() -> None:
    """Print the sizes of one kind, or of all of them, each measured in a process of its own."""
    if kinds := sys.argv[1:]:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(KINDS[kinds[0]](Path(place))))
        return
    sizes = {}
    for kind in KINDS:
        command = [sys.executable, "-m", "tests.support.sizing", kind]
        sizes[kind] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
