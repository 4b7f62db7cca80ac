"""The background threads of a process that serves: what they do, and how often."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from service.contract.errors import CrossfixError
from service.contract.utc_time import utc_now
from service.identity.audit_trail import AuditTrail
from service.maintenance.retention import apply_retention
from service.wiring.active_bundle import ActiveBundle
from service.wiring.bundle_routes import ProcessParts
from service.wiring.maintenance import retention_limits
from service.wiring.stores import is_embedded

log = logging.getLogger("crossfix")

RETENTION_INTERVAL_S = 3600.0
ANNOUNCE_INTERVAL_S = 2.0
ASK_AGAIN_AFTER_FAILURE_S = 30.0
QUIET_S = 0.5
LONGEST_POSTPONEMENT_S = 60.0
WORK_WITHOUT_QUIET_S = 1.0


@dataclass(frozen=True)
class RepeatedTask:
    """Work that a thread of its own repeats until the process ends.

    Attributes:
        work: returns whether more is to be done at once.
        pause_s: after work that leaves nothing to do at once.
        failure: what the log says when the work fails; it is done again after a pause.
        waits_first: whether a pause precedes the work.
        failure_pause_s: pause after a failure, if longer.
    """

    name: str
    work: Callable[[], bool]
    pause_s: float
    failure: str
    waits_first: bool = False
    failure_pause_s: float = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Repeat the work until `stopping` is set."""
        pause_s = self.pause_s if self.waits_first else 0.0
        while not stopping.wait(pause_s):
            try:
                pause_s = 0.0 if self.work() else self.pause_s
            except Exception as error:
                if isinstance(error, CrossfixError):
                    log.error("%s: %s", self.failure, error)
                else:
                    log.exception(self.failure)
                pause_s = max(self.pause_s, self.failure_pause_s)


def repeated_tasks(
    parts: ProcessParts, active: ActiveBundle, stopping: threading.Event
) -> Iterator[RepeatedTask]:
    """Yield the tasks that the settings ask for; their work also ends once `stopping` is set."""
    settings = parts.settings
    yield RepeatedTask(
        "recovery",
        partial(_settle, active),
        settings.recovery_interval_s,
        "could not look for interrupted changes; trying again later",
        waits_first=True,
    )
    if parts.webhook is not None:
        yield RepeatedTask(
            "webhook",
            partial(_announce, active, stopping),
            ANNOUNCE_INTERVAL_S,
            "new matches could not be sent to the webhook; trying again later",
            waits_first=True,
        )
    if settings.ask_again_interval_s:
        yield RepeatedTask(
            "ask-again",
            partial(
                ask_again_when_quiet, active, stopping, QUIET_S if is_embedded(settings) else 0.0
            ),
            settings.ask_again_interval_s,
            "open sightings could not be matched anew; trying again later",
            failure_pause_s=ASK_AGAIN_AFTER_FAILURE_S,
        )
    if retention_limits(settings).any:
        yield RepeatedTask(
            "retention",
            partial(_retain, parts, active, stopping),
            RETENTION_INTERVAL_S,
            "old records could not be removed; trying again later",
        )
    if settings.check_interval_h:
        yield RepeatedTask(
            "check",
            partial(_check, parts, active, stopping),
            settings.check_interval_h * 3600.0,
            "the check of stored records",
        )


def _settle(active: ActiveBundle) -> bool:
    with active.in_use() as served:
        served.settle()
    return False


def _announce(active: ActiveBundle, stopping: threading.Event) -> bool:
    with active.in_use() as served:
        if served.announce is not None:
            served.announce(stopping.is_set)
    return False


def ask_again_when_quiet(
    active: ActiveBundle,
    stopping: threading.Event,
    quiet_s: float,
    longest_postponement_s: float = LONGEST_POSTPONEMENT_S,
) -> bool:
    """Compare open sightings with some of the chips that vessels got since, or with each other.

    A search of an embedded gallery among very many of them would delay a request, so this waits
    until no request has enrolled, matched or judged for `quiet_s`. If requests never pause for so
    long, it works for a moment in between.
    """
    began = time.monotonic()
    while active.quiet_s() < quiet_s and time.monotonic() - began < longest_postponement_s:
        if stopping.wait(quiet_s / 5):
            return False
    until = time.monotonic() + (0.0 if active.quiet_s() >= quiet_s else WORK_WITHOUT_QUIET_S)

    def stopped() -> bool:
        return stopping.is_set() or (active.quiet_s() < quiet_s and time.monotonic() >= until)

    with active.in_use() as served:
        return bool(served.ask_again(stopped))


def _retain(parts: ProcessParts, active: ActiveBundle, stopping: threading.Event) -> bool:
    """Delete old matches and open sightings; changes go on meanwhile."""
    stores = parts.stores
    with active.in_use() as served:
        removed = apply_retention(
            served.resources.gallery,
            stores.matches,
            stores.chips,
            AuditTrail(stores.audit, utc_now, served.bundle_id),
            retention_limits(parts.settings),
            utc_now(),
            parts.write_lock,
            stopping.wait,
        )
    if removed.matches or removed.sightings:
        log.info("retention removed %s", removed)
    return False


def _check(parts: ProcessParts, active: ActiveBundle, stopping: threading.Event) -> bool:
    """Compare all records that the service uses with their digests.

    Starts anew at once if the service moved to another bundle meanwhile.
    """
    health = parts.record_health
    try:
        with active.in_use() as served:

            def stopped(seconds: float) -> bool:
                return stopping.wait(seconds) or active.current is not served

            complete = health.check(served.resources.gallery, parts.stores.matches, stopped)
        if complete:
            health.require_intact()
        return not complete
    finally:
        parts.telemetry.damaged_records.set(len(health.damaged))
