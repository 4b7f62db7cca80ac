"""Store an answered match, or put it into the outbox until it can be stored.

A match that was found is answered, even if it cannot be stored now. Order of writes: the chip,
while it is embedded if it is the only one; the audit entry (by the caller), so that every match
with a record is in the audit log; then sighting and match record. These two may be written at the
same time: a match of which only one was written was not acknowledged as stored, and writing both
again changes nothing. Matches that are answered at the same time share their writes. A chip whose
request fails has no sighting: it is deleted if the disk is full, else `crossfix sweep` deletes it.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from service.contract.errors import CrossfixError
from service.identity.context import Context, UseCase
from service.identity.errors import StoreFullError, StoreUnavailableError
from service.identity.original_chips import delete_unused_when_full, restore_missing_chip
from service.identity.ports.chips import ChipStore
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


@dataclass(slots=True)
class EarlyChip:
    """A chip that is stored before its match is known.

    Attributes:
        chips: the store.
        data: the chip.
        is_stored: whether it is.
        error: why it could not be.
    """

    chips: ChipStore
    data: bytes
    is_stored: bool = False
    error: StoreUnavailableError | StoreFullError | None = None

    def store(self) -> None:
        """Store the chip, or note why it cannot be."""
        try:
            self.chips.put(self.data)
            self.is_stored = True
        except (StoreUnavailableError, StoreFullError) as error:
            self.error = error


@dataclass(slots=True)
class _Waiting:
    """A match that waits to be stored, and why it is not, until it is."""

    match: AnsweredMatch
    chips_stored: bool
    done: bool = False
    error: Exception | None = field(
        default_factory=lambda: StoreUnavailableError("storing the match was interrupted")
    )


class MatchRecorder(UseCase):
    """Stores answered matches, and later those that wait in the outbox."""

    def __init__(self, context: Context, uploads: UploadEmbedder) -> None:
        """The stage `store` is measured."""
        super().__init__(context)
        self._uploads = uploads
        self._waiting = deque[_Waiting]()

    def record(self, match: AnsweredMatch, early: EarlyChip | None = None) -> Unstored | None:
        """Store a match, or put it into the outbox; return None when it is stored.

        `early` is its chip, if it has only one.
        """
        if early is not None and early.error is not None:
            return self._put_into_outbox(match, early.error)
        try:
            with measured("store", self._measure):
                self._store(match, early is not None and early.is_stored)
        except (StoreUnavailableError, StoreFullError) as error:
            return self._put_into_outbox(match, error)
        return None

    def record_waiting(self) -> int:
        """Store the matches that wait; return how many were stored."""
        stored = 0
        for match_id in self._outbox.ids():
            try:
                waiting = self._outbox.get(match_id)
                if waiting is not None:
                    self._record_one_waiting(waiting)
                    stored += 1
                self._outbox.remove(match_id)
            except (StoreUnavailableError, StoreFullError) as error:
                log.warning("match %s still waits to be stored: %s", match_id, error)
                break
        return stored

    def _store(self, match: AnsweredMatch, chips_stored: bool) -> None:
        """Store a match, and with it those of other threads that wait to write, too."""
        own = _Waiting(match, chips_stored)
        self._waiting.append(own)
        with self._write_lock:
            if not own.done:
                self._store_together([self._waiting.popleft() for _ in range(len(self._waiting))])
        if own.error is not None:
            raise own.error

    def _store_together(self, group: "Sequence[_Waiting]") -> None:
        """Store matches in one write; one by one if that fails other than by a lost store."""
        error: Exception | None = None
        try:
            self._write(group)
        except Exception as failure:
            error = failure
        if error is None or len(group) == 1 or isinstance(error, StoreUnavailableError):
            for one in group:
                one.done, one.error = True, error
        else:
            for one in group:
                one.chips_stored = False  # a chip that no sighting uses yet may have been deleted
                self._store_together([one])

    def _write(self, group: "Sequence[_Waiting]") -> None:
        chips = [chip for one in group for chip in one.match.chips]
        # The same chip may have been sent with the same facts at the same time.
        sightings = list({one.sighting.id: one for _, one in chips}.values())
        files = {one.sighting.chip_sha256: data for data, one in chips}
        with delete_unused_when_full(self._gallery, self._chips, files):
            self._chips.put_all(
                {data for one in group if not one.chips_stored for data, _ in one.match.chips}
            )
            self._write_all(
                lambda: self._gallery.put_open_sightings(sightings),
                lambda: self._matches.put(*(one.match.record for one in group)),
            )
            for digest, data in files.items():
                restore_missing_chip(self._chips, digest, data)

    def _put_into_outbox(self, match: AnsweredMatch, reason: CrossfixError) -> Unstored:
        try:
            self._outbox.put(match)
        except (StoreUnavailableError, StoreFullError) as error:
            log.error("match %s is lost: %s; %s", match.record.id, reason, error)
            return Unstored.LOST
        log.warning("match %s waits to be stored: %s", match.record.id, reason)
        return Unstored.WAITING

    def _record_one_waiting(self, match: AnsweredMatch) -> None:
        chips = [(chip, self._of_this_bundle(chip, one)) for chip, one in match.chips]
        if self._matches.get(match.record.id) is None:
            self._store(replace(match, chips=chips), chips_stored=False)
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
