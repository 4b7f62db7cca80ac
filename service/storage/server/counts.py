"""Keep the counts of the gallery for a moment, because counting a large one takes long.

A small gallery is counted anew after each change of this process, which takes milliseconds. The
counts of a large one are renewed in the background: a few vessels more or less do not change the
prior of an answer.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from service.contract.errors import CrossfixError
from service.identity.records.sightings import GalleryCounts

COUNTS_MAX_AGE_S = 2.0
RENEW_AFTER_S = 1.0
LARGE = 10_000
"""From so many sightings on, no request waits for a count that is under `LARGE_MAX_AGE_S` old."""

LARGE_MAX_AGE_S = 60.0


class KeptCounts:
    """Counts that are at most `COUNTS_MAX_AGE_S` old while they are asked for all the time.

    They are then renewed in the background, so that no request waits. Those of a small gallery
    include all changes by this process.
    """

    def __init__(self, count: Callable[[], GalleryCounts]) -> None:
        """`count` asks the server."""
        self._count = count
        self._lock = threading.Lock()
        self._changes = 0
        self._kept: tuple[float, int, GalleryCounts] | None = None
        self._renewing: threading.Thread | None = None
        self._closed = False

    def outdate(self) -> None:
        """Count anew for the next caller: this process has changed what is counted."""
        with self._lock:
            self._changes += 1

    def get(self) -> GalleryCounts:
        """Return the counts; raise the errors of counting."""
        with self._lock:
            kept, changes = self._kept, self._changes
        if kept is not None:
            age_s, unchanged = time.monotonic() - kept[0], kept[1] == changes
            large = kept[2].sightings >= LARGE
            if age_s < (LARGE_MAX_AGE_S if large else COUNTS_MAX_AGE_S) and (unchanged or large):
                if age_s >= RENEW_AFTER_S or not unchanged:
                    self._renew_in_background()
                return kept[2]
        return self._renew()

    def close(self) -> None:
        """Wait for a renewal that is under way; begin no further one."""
        with self._lock:
            self._closed = True
            renewing = self._renewing
        if renewing is not None:
            renewing.join()

    def _renew(self) -> GalleryCounts:
        with self._lock:
            changes = self._changes
        counted_at = time.monotonic()
        counts = self._count()
        with self._lock:
            if self._kept is None or self._kept[0] <= counted_at:
                self._kept = (counted_at, changes, counts)
        return counts

    def _renew_in_background(self) -> None:
        with self._lock:
            if self._closed or self._renewing is not None:
                return
            self._renewing = threading.Thread(target=self._renew_once, name="counts", daemon=True)
            self._renewing.start()

    def _renew_once(self) -> None:
        with suppress(CrossfixError):
            self._renew()
        with self._lock:
            self._renewing = None
