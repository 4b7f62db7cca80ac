"""The stores and helpers that every use case shares."""

import threading
from dataclasses import dataclass

from service.contract.utc_time import Clock
from service.identity.audit_trail import AuditTrail
from service.identity.ports.chips import ChipStore
from service.identity.ports.claims import ClaimStore
from service.identity.ports.gallery import Gallery
from service.identity.ports.matches import MatchStore
from service.identity.stage_timing import Measure, ignore_timings


@dataclass(frozen=True, slots=True)
class Context:
    """What the use cases of one served bundle share.

    Attributes:
        gallery: vessels, and the embedded sightings of the bundle.
        chips: original chips.
        matches: match records.
        claims: names that one change at a time may hold, see `leases.py`.
        trail: writes the audit log.
        now: the present, UTC.
        write_lock: held while this process makes a change, so that changes happen one at a time.
        measure: receives the milliseconds of each stage.
    """

    gallery: Gallery
    chips: ChipStore
    matches: MatchStore
    claims: ClaimStore
    trail: AuditTrail
    now: Clock
    write_lock: threading.RLock
    measure: Measure = ignore_timings
