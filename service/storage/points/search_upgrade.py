"""Add the fields that searches need to records that an older version stored without them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from service.identity.errors import StoreDamagedError
from service.storage.points.filters import Condition, Known
from service.storage.points.match_payloads import HAS_PLACE, match_from, place_fields
from service.storage.points.payloads import Payload, vessel_from, vessel_words
from service.storage.points.search_words import WORDS

BATCH = 500


class UpgradedPoints(Protocol):
    """What an upgrade needs of a store: read and change the points of one kind of record."""

    def scan(self, where: Condition) -> Iterator[tuple[UUID, Payload]]:
        """Yield id and payload of the points that satisfy the condition."""

    def set_fields_of_each(self, fields: Mapping[UUID, Payload]) -> None:
        """Set fields of the payload of each of these points."""


def make_vessels_searchable(vessels: UpgradedPoints) -> int:
    """Add search words to vessels without them; return the number of vessels."""
    return _complete(vessels, WORDS, lambda row: vessel_words(vessel_from(row)))


def make_matches_searchable(matches: UpgradedPoints) -> int:
    """Add the place of the query to matches without it; return the number of matches."""
    return _complete(matches, HAS_PLACE, lambda row: place_fields(match_from(row).match))


def _complete(points: UpgradedPoints, key: str, fields_of: Callable[[Payload], Payload]) -> int:
    missing: dict[UUID, Payload] = {}
    for point_id, row in points.scan(Condition((), (Known(key),))):
        with suppress(StoreDamagedError):  # `crossfix check` reports damaged records
            missing[point_id] = fields_of(row)
    ids = list(missing)
    for start in range(0, len(ids), BATCH):
        points.set_fields_of_each({i: missing[i] for i in ids[start : start + BATCH]})
    return len(missing)
