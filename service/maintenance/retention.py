"""Delete old matches that nobody judged, and old sightings without a vessel."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.contract.batches import in_batches
from service.identity.audit_trail import AuditTrail
from service.identity.original_chips import delete_unused_chip
from service.identity.ports.chips import ChipStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.records.vessels import VesselState

MATCHES_AT_ONCE, SIGHTINGS_AT_ONCE = 256, 32
"""How many are deleted before others may write: a fraction of a second of work."""
PAUSE_S = 0.01

UNLOCKED: AbstractContextManager[object] = nullcontext()


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """How long and how many unjudged matches and open sightings are kept; None: all.

    Attributes:
        match_age: age of a match from which it is deleted.
        matches: how many matches are kept, the newest.
        sighting_age: time since an open sighting was recorded from which it is deleted.
        sightings: how many open sightings are kept, the latest recorded.
        restorable: how long after the deletion of a vessel its former sightings are kept.
    """

    match_age: timedelta | None = None
    matches: int | None = None
    sighting_age: timedelta | None = None
    sightings: int | None = None
    restorable: timedelta = timedelta(0)

    @property
    def any(self) -> bool:
        """Whether anything is ever deleted."""
        return self != RetentionLimits(restorable=self.restorable)


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
    write_lock: AbstractContextManager[object] = UNLOCKED,
    stopped: Callable[[float], bool] = lambda _: False,
) -> Retained:
    """Delete what the limits do not keep, a few records at a time; services may run meanwhile.

    A match with a judgement and a sighting with a vessel stay, also if they got it meanwhile, and
    so do the former sightings of a deleted vessel that can be restored.

    Args:
        gallery: sightings of the served bundle.
        trail: gets an entry before and one after, if anything is to be deleted.
        write_lock: held while a few records are deleted, and not in between.
        stopped: waits for so many seconds, so that others get the lock; returns whether to stop.

    Raises:
        StoreUnavailableError, StoreFullError: what was deleted so far stays deleted.
    """
    old_matches = matches.unjudged(_before(limits.match_age, now), limits.matches)
    old_sightings = gallery.open_sightings(_before(limits.sighting_age, now), limits.sightings)
    if old_sightings:  # looked for first: a vessel may be deleted right now
        restorable = _former_sightings(gallery, now - limits.restorable)
        old_sightings = [one for one in old_sightings if one[0] not in restorable]
    if not (old_matches or old_sightings):
        return Retained(0, 0, 0)
    found = {"matches": len(old_matches), "sightings": len(old_sightings)}
    done = Counter[str]()
    with trail.change("apply-retention", **found) as result:
        for ids in in_batches(old_matches, MATCHES_AT_ONCE):
            if stopped(PAUSE_S):
                break
            with write_lock:
                done["matches"] += matches.delete_unjudged(ids)
        for batch in in_batches(old_sightings, SIGHTINGS_AT_ONCE):
            if stopped(PAUSE_S):
                break
            with write_lock:
                done["chips"] += _delete_chips(gallery, chips, batch)
            done["sightings"] += len(batch)
        result["chips"] = done["chips"]
    return Retained(done["matches"], done["sightings"], done["chips"])


def _former_sightings(gallery: Gallery, since: datetime) -> set[UUID]:
    """Return the former sightings of the vessels that were deleted since then."""
    deleted = gallery.vessels_in_state([VesselState.DELETING, VesselState.DELETED])
    return {
        one for vessel in deleted if vessel.updated_at >= since for one in vessel.former_sightings
    }


def _delete_chips(gallery: Gallery, chips: ChipStore, open_ones: Sequence[tuple[UUID, str]]) -> int:
    """Delete sightings that are still open, and then their chips; return the number of chips."""
    gallery.delete_open_sightings([sighting_id for sighting_id, _ in open_ones])
    digests = {chip for _, chip in open_ones}
    return sum(delete_unused_chip(gallery, chips, digest) for digest in digests)


def _before(age: timedelta | None, now: datetime) -> datetime | None:
    return None if age is None else now - age
