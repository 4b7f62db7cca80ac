"""Compare all records of a store with their digests, a few at a time."""

from collections.abc import Callable, Iterable, Iterator

from service.contract.batches import in_batches
from service.identity.records.checks import RecordCheck
from service.storage.points.archive import PointCollection, RecordCollection
from service.storage.points.filters import EVERYTHING
from service.storage.points.payloads import Payload, sighting_from, vessel_from
from service.storage.points.record_digests import check_rows

BATCH = 100


def check_gallery(
    vessels: RecordCollection, sightings: Iterable[PointCollection]
) -> Iterator[list[RecordCheck]]:
    """Check vessels and sightings in batches."""
    yield from check_payloads("vessel", vessels, vessel_from)
    for bundle in sightings:
        for rows in in_batches(bundle.scan_with_vectors(EVERYTHING), BATCH):
            yield check_rows("sighting", rows, sighting_from)


def check_payloads(
    kind: str, records: RecordCollection, parse: Callable[[Payload], object]
) -> Iterator[list[RecordCheck]]:
    """Check records without vectors in batches."""
    for batch in in_batches(((i, None, row) for i, row in records.scan()), BATCH):
        yield check_rows(kind, batch, parse)
