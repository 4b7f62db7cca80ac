"""Delete old matches that nobody judged, and old sightings without a vessel."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.identity.audit_trail import AuditTrail
from service.identity.original_chips import delete_unused_chip
from service.identity.ports.chips import ChipStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.maintenance.batches import in_batches

BATCH = 256


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How long and how many unjudged matches and open sightings are kept; None: all.

    Attributes:
        match_age: age of a match from which it is deleted.
        matches: how many matches are kept, the newest.
        sighting_age: time since an open sighting was recorded from which it is deleted.
        sightings: how many open sightings are kept, the latest recorded.
    """

    match_age: timedelta | None = None
    matches: int | None = None
    sighting_age: timedelta | None = None
    sightings: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything is ever deleted."""
        return self != RetentionLimits()


@dataclass(frozen=True, slots=True)
class Retained:
    """What was deleted: matches, open sightings, and original chips that nothing uses any more."""

    matches: int
    sightings: int
    chips: int


def apply_retention(
    gallery: Gallery,
    matches: MatchStore,
    chips: ChipStore,
    trail: AuditTrail,
    limits: RetentionLimits,
    now: datetime,
) -> Retained:
    """Delete what the limits do not keep; services may run meanwhile.

    A match that was judged stays, and so does a sighting that has a vessel by the time of its
    deletion.

    Raises:
        StoreUnavailableError, StoreFullError: what was deleted so far stays deleted.
    """
    old_matches = matches.unjudged(_before(limits.match_age, now), limits.matches)
    old_sightings = gallery.open_sightings(_before(limits.sighting_age, now), limits.sightings)
    if not (old_matches or old_sightings):
        return Retained(0, 0, 0)
    found = {"matches": len(old_matches), "sightings": len(old_sightings)}
    with trail.change("retain", **found) as result:
        for ids in in_batches(old_matches, BATCH):
            matches.delete(ids)
        removed = _delete_chips(gallery, chips, old_sightings)
        result["chips"] = removed
    return Retained(len(old_matches), len(old_sightings), removed)


def _delete_chips(gallery: Gallery, chips: ChipStore, open_ones: Iterable[tuple[UUID, str]]) -> int:
    """Delete sightings that are still open, and then their chips; return the number of chips."""
    removed = 0
    for batch in in_batches(open_ones, BATCH):
        gallery.delete_open_sightings([sighting_id for sighting_id, _ in batch])
        for digest in {chip for _, chip in batch}:
            removed += delete_unused_chip(gallery, chips, digest)
    return removed


def _before(age: timedelta | None, now: datetime) -> datetime | None:
    return None if age is None else now - age
