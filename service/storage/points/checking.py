"""Compare all records of a store with their digests, a few at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TypeVar

from service.identity.records.checks import RecordCheck
from service.storage.points.archive import PointCollection, RecordCollection
from service.storage.points.filters import EVERYTHING
from service.storage.points.payloads import Payload, sighting_from, vessel_from
from service.storage.points.record_digests import check_rows

BATCH = 100
UNLOCKED: AbstractContextManager[object] = nullcontext()

T = TypeVar("T")


def check_gallery(
    vessels: RecordCollection,
    sightings: Iterable[PointCollection],
    lock: AbstractContextManager[object] = UNLOCKED,
) -> Iterator[list[RecordCheck]]:
    """Check vessels and sightings in batches; the lock is held while a batch is read."""
    yield from check_payloads("vessel", vessels, vessel_from, lock)
    for bundle in sightings:
        for rows in in_locked_batches(bundle.scan_with_vectors(EVERYTHING), lock):
            yield check_rows("sighting", rows, sighting_from)


def check_payloads(
    kind: str,
    records: RecordCollection,
    parse: Callable[[Payload], object],
    lock: AbstractContextManager[object] = UNLOCKED,
) -> Iterator[list[RecordCheck]]:
    """Check records without vectors in batches; the lock is held while a batch is read."""
    for batch in in_locked_batches(((i, None, row) for i, row in records.scan()), lock):
        yield check_rows(kind, batch, parse)


def in_locked_batches(rows: Iterator[T], lock: AbstractContextManager[object]) -> Iterator[list[T]]:
    """Yield rows in lists; the lock is held while one is read."""
    while True:
        with lock:
            batch = list(islice(rows, BATCH))
        if not batch:
            return
        yield batch
