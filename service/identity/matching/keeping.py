"""Store an answered match, or put it into the outbox until it can be stored.

A match that was found is answered, even if it cannot be stored now. Order of writes: the audit
entry (by the caller), the chip, then sighting and match record, so that every match with a record
is in the audit log. Sighting and record may be written at the same time: a match of which only one
was written was not acknowledged as stored, and writing both again changes nothing.
"""

import logging
from dataclasses import replace
from enum import StrEnum

from service.contract.errors import CrossfixError
from service.identity.context import Context
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.original_chips import delete_unused_when_full, restore_missing_chip
from service.identity.ports.outbox import AnsweredMatch
from service.identity.records.sightings import EmbeddedSighting
from service.identity.stage_timing import measured
from service.identity.uploads import UploadEmbedder, stored_upload

log = logging.getLogger("crossfix")


class Unstored(StrEnum):
    """What became of a match that the stores did not take: it is kept for later, or lost."""

    WAITING = "waiting"
    LOST = "lost"


WARNINGS = {
    Unstored.WAITING: "stored: the match could not be stored now and can be neither looked up nor "
    "judged yet; this service keeps it and stores it as soon as it can",
    Unstored.LOST: "stored: the match could not be stored and is lost; send the chip again later "
    "to store it",
}


class MatchKeeper:
    """Stores answered matches, and later those that wait in the outbox."""

    def __init__(self, context: Context, uploads: UploadEmbedder) -> None:
        """The stage `store` is measured."""
        self._gallery = context.gallery
        self._chips = context.chips
        self._matches = context.matches
        self._outbox = context.outbox
        self._write_all = context.write_all
        self._write_lock = context.write_lock
        self._measure = context.measure
        self._uploads = uploads

    def keep(self, match: AnsweredMatch) -> Unstored | None:
        """Store a match, or put it into the outbox; return None when it is stored."""
        try:
            with measured("store", self._measure):
                self._store(match)
        except (StoreUnavailableError, StoreFullError) as error:
            return self._put_off(match, error)
        return None

    def deliver(self) -> int:
        """Store the matches that wait; return how many were stored."""
        stored = 0
        for match_id in self._outbox.ids():
            try:
                waiting = self._outbox.get(match_id)
                if waiting is not None:
                    self._deliver_one(waiting)
                    stored += 1
                self._outbox.remove(match_id)
            except (StoreUnavailableError, StoreFullError) as error:
                log.warning("match %s still waits to be stored: %s", match_id, error)
                break
        return stored

    def _store(self, match: AnsweredMatch) -> None:
        sightings = [one for _, one in match.chips]
        digests = [one.sighting.chip_sha256 for one in sightings]
        undo_when_full = delete_unused_when_full(self._gallery, self._chips, digests)
        with self._write_lock, undo_when_full:
            self._chips.put_all(chip for chip, _ in match.chips)
            self._write_all(
                lambda: self._gallery.put_open_sightings(sightings),
                lambda: self._matches.put(match.record),
            )
            for digest, (chip, _) in zip(digests, match.chips, strict=True):
                restore_missing_chip(self._chips, digest, chip)

    def _put_off(self, match: AnsweredMatch, reason: CrossfixError) -> Unstored:
        try:
            self._outbox.put(match)
        except (StoreUnavailableError, StoreFullError) as error:
            log.error("match %s is lost: %s; %s", match.record.id, reason, error)
            return Unstored.LOST
        log.warning("match %s waits to be stored: %s", match.record.id, reason)
        return Unstored.WAITING

    def _deliver_one(self, match: AnsweredMatch) -> None:
        chips = [(chip, self._of_this_bundle(chip, one)) for chip, one in match.chips]
        if self._matches.get(match.record.id) is None:
            self._store(replace(match, chips=chips))
            return
        # The record was written at once, and may have been judged since.
        with self._write_lock:
            self._chips.put_all(chip for chip, _ in chips)
            self._gallery.put_open_sightings([one for _, one in chips])

    def _of_this_bundle(self, chip: bytes, sighting: EmbeddedSighting) -> EmbeddedSighting:
        """Return the sighting, embedded again if the service has moved to another bundle."""
        known = sighting.sighting
        if known.bundle_id == self._uploads.bundle_id:
            return sighting
        embedded = self._uploads.embed(stored_upload(known, chip))
        moved = known.model_copy(update={"bundle_id": self._uploads.bundle_id})
        return EmbeddedSighting(moved, embedded.vector)
