"""Send the matches that the service found by itself to a webhook.

The write that records such a match marks it as unannounced. The marks are the queue: they survive
a crash together with the match, and a mark is removed when the receiver has accepted the message or
after the last failed attempt. A message whose mark could not be removed is sent again with the same
id. A lease lets one replica at a time send.
"""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from service.identity.context import Context, UseCase
from service.identity.errors import ConflictError, StoreDamagedError
from service.identity.leases import Leases, Task
from service.identity.records.match_records import MatchRecord

log = logging.getLogger("crossfix.webhook")

NEW_MATCH = "match.new"
GIVE_UP_AFTER = timedelta(days=3)
"""The age of a match from which a failed attempt is the last."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 4 * 3600.0


class Outcome(StrEnum):
    """What became of an attempt; `given_up` is the last one that failed."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Reply:
    """How a receiver answered.

    Attributes:
        accepted: whether it has the message.
        text: what it answered, or why there is no answer, for the log.
        final: whether it wants no further attempt.
        wait_s: how long it asks to wait before the next attempt.
    """

    accepted: bool
    text: str
    final: bool = False
    wait_s: float = 0.0


Send = Callable[[str, bytes, Callable[[], bool]], Reply | None]
"""Sends a message, id and JSON, within a bounded time; returns None if it was stopped."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a message failed, and when it is sent again, seconds of a monotonic clock."""

    failures: int
    due: float


class Announcements(UseCase):
    """Sends unannounced matches, the oldest first. Used by one thread."""

    def __init__(
        self,
        context: Context,
        leases: Leases,
        send: Send,
        count: Callable[[Outcome], None],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(context)
        self._leases = leases
        self._send = send
        self._count = count
        self._seconds = seconds
        self._retries: dict[UUID, Retry] = {}
        self._done: set[UUID] = set()

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Send the matches that are due, until an attempt fails.

        Raises:
            StoreUnavailableError, StoreFullError: the rest stays marked.
        """
        waiting = self._matches.unannounced()
        self._retries = {i: self._retries[i] for i in waiting if i in self._retries}
        self._done.intersection_update(waiting)
        now = self._seconds()
        due = [i for i in waiting if i not in self._retries or self._retries[i].due <= now]
        if not due:
            return
        try:
            with self._leases.for_task(Task.ANNOUNCING) as lease:
                for match_id in due:
                    lease.renew()
                    if stopped() or not self._announce(match_id, stopped):
                        return
        except ConflictError:
            return  # another replica sends, or the match is being judged

    def _announce(self, match_id: UUID, stopped: Callable[[], bool]) -> bool:
        """Send one match, unless it was sent; return whether to go on with the next."""
        try:
            record = self._matches.get(match_id)
        except StoreDamagedError as error:
            self._postpone(match_id, Reply(False, str(error)))
            return True
        if record is None or not record.unannounced:
            return True
        if match_id not in self._done:
            reply = self._send(f"match_{match_id}", new_match_message(record), stopped)
            if reply is None:
                return False
            if not reply.accepted and not self._is_last(record, reply):
                self._postpone(match_id, reply)
                return False
            self._count(Outcome.DELIVERED if reply.accepted else Outcome.GIVEN_UP)
            if not reply.accepted:
                log.error("match %s is not sent to the webhook again: %s", match_id, reply.text)
            self._done.add(match_id)
        self._unmark(record)
        return True

    def _is_last(self, record: MatchRecord, reply: Reply) -> bool:
        return reply.final or self._now() - record.asked_at > GIVE_UP_AFTER

    def _postpone(self, match_id: UUID, reply: Reply) -> None:
        known = self._retries.get(match_id)
        failures = 1 if known is None else known.failures + 1
        pause = max(pause_s(failures), min(reply.wait_s, LONGEST_PAUSE_S))
        self._retries[match_id] = Retry(failures, self._seconds() + pause)
        self._count(Outcome.FAILED)
        log.warning(
            "match %s is sent to the webhook again in %.0f s: %s", match_id, pause, reply.text
        )

    def _unmark(self, record: MatchRecord) -> None:
        with self._write_lock, self._leases.for_judgement(*record.match.sighting_ids):
            now = self._matches.get(record.id)
            if now is not None:
                self._matches.put(now.model_copy(update={"unannounced": False}))


def pause_s(failures: int) -> float:
    """Return how long to wait after so many failed attempts: twice as long each time, ± 25 %."""
    longest = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE_S)
    return longest * random.uniform(0.75, 1.25)


def new_match_message(record: MatchRecord) -> bytes:
    """Return the body of the message about a match, JSON; each attempt sends the same bytes."""
    first = next(iter(record.match.candidates), None)
    message = {
        "type": NEW_MATCH,
        "timestamp": record.asked_at.isoformat(),
        "data": {
            "match_id": str(record.id),
            "path": f"/matches/{record.id}",
            "sighting_id": str(record.match.query.id),
            "verdict": record.match.verdict.value,
            "vessel_id": None if first is None else str(first.vessel.id),
            "probability": None if first is None else first.probability,
            "training_domain": record.model.training_domain,
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()
