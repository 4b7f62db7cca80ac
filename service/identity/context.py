"""The stores and helpers that every use case shares."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

from service.contract.utc_time import Clock
from service.identity.audit_trail import AuditTrail
from service.identity.ports.chips import ChipStore
from service.identity.ports.claims import ClaimStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.ports.outbox import Outbox
from service.identity.stage_timing import Measure, ignore_timings

WriteAll = Callable[..., None]
"""Makes writes to different stores, each a function, in parallel where that is quicker.

Raises the error of the first write that failed, when all have ended.
"""


def in_sequence(*writes: Callable[[], None]) -> None:
    """Make the writes in order, until one fails: a `WriteAll`."""
    for write in writes:
        write()


def in_parallel(*writes: Callable[[], None]) -> None:
    """Make each write in a thread of its own: a `WriteAll` for stores that wait for a network."""
    with ThreadPoolExecutor(len(writes)) as pool:
        running = [pool.submit(copy_context().run, write) for write in writes]
    for one in running:
        one.result()


@dataclass(frozen=True, slots=True)
class Context:
    """What the use cases of one served bundle share.

    Attributes:
        gallery: vessels, and the embedded sightings of the bundle.
        claims: names that one change at a time may hold, see `leases.py`.
        write_lock: held while this process makes a change, so that changes happen one at a time.
        outbox: keeps answered matches that the stores do not take now.
        measure: receives the milliseconds of each stage.
        announces: whether matches that the service finds by itself are sent to a webhook.
    """

    gallery: Gallery
    chips: ChipStore
    matches: MatchStore
    claims: ClaimStore
    trail: AuditTrail
    now: Clock
    write_lock: threading.RLock
    outbox: Outbox
    measure: Measure = ignore_timings
    write_all: WriteAll = in_sequence
    announces: bool = False


class UseCase:
    """Keeps what a context holds, each under its own name."""

    def __init__(self, context: Context) -> None:
        self._gallery = context.gallery
        self._chips = context.chips
        self._matches = context.matches
        self._trail = context.trail
        self._now = context.now
        self._write_lock = context.write_lock
        self._outbox = context.outbox
        self._measure = context.measure
        self._write_all = context.write_all
        self._announces = context.announces
