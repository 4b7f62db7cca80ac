"""The entries of the audit log: every match and every change.

A match is one entry, written before the response is sent. A change is two entries: `begun` before
its first write and `done` or `failed` after its last. A change without a second entry was
interrupted and never acknowledged; recovery finishes or undoes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from service.access.caller import current_caller
from service.contract.errors import CrossfixError
from service.contract.utc_time import Clock
from service.identity.ports.audit import AuditLog
from service.identity.records.audit import AuditPosition
from service.identity.records.matches import Match
from service.identity.records.sightings import Sighting
from service.identity.stage_timing import Measure, ignore_timings, measured
from service.identity.uploads import ChipUpload

Facts = dict[str, object]


class AuditTrail:
    """Writes audit entries with time and caller; `bundle_id` names the models in use."""

    def __init__(
        self, log: AuditLog, now: Clock, bundle_id: str, measure: Measure = ignore_timings
    ) -> None:
        """`measure` receives the milliseconds of each entry, as the stage `audit`."""
        self._log = log
        self._now = now
        self._bundle_id = bundle_id
        self._measure = measure

    def record(
        self, action: str, facts: Mapping[str, object], *, closing: bool = False
    ) -> AuditPosition:
        """Write one entry; return its place in the log when it would survive a crash.

        Args:
            action: what was done, e.g. `match` or `verdict`.
            closing: whether the entry is the second one of a change.

        Raises:
            StoreUnavailableError, StoreFullError: the entry was not written.
        """
        caller = current_caller()
        entry: Facts = {
            "at": self._now().isoformat(),
            "who": caller.name,
            "request_id": caller.request_id,
            "action": action,
            "bundle_id": self._bundle_id,
            **facts,
        }
        with measured("audit", self._measure):
            return self._log.append(entry, closing=closing)

    def record_match(self, match: Match, options: Mapping[str, object]) -> AuditPosition:
        """Write a match: the chip, the options, the gallery's size and the ids returned."""
        return self.record(
            "match",
            {
                "match_id": str(match.id),
                "chip_sha256": match.query.chip_sha256,
                "sighting_id": str(match.query.id),
                **({"more_chips": chips_and_ids(match.more_queries)} if match.more_queries else {}),
                "options": options,
                "verdict": match.verdict.value,
                "candidates": [
                    {
                        "vessel_id": str(candidate.vessel.id),
                        "sighting_id": str(candidate.sighting.id),
                        "probability": round(candidate.probability, 6),
                    }
                    for candidate in match.candidates
                ],
                "none_probability": (
                    None if match.none_probability is None else round(match.none_probability, 6)
                ),
                "gallery": {"vessels": match.gallery.vessels, "sightings": match.gallery.sightings},
            },
        )

    @contextmanager
    def change(self, action: str, **facts: object) -> Iterator[Facts]:
        """Write one entry before a change and one after it.

        Args:
            action: what is changed, e.g. `enrol`.
            facts: JSON values known beforehand.

        Yields:
            a dictionary for values that are known only afterwards.
        """
        change_id = str(uuid4())
        self.record(action, {"phase": "begun", "change_id": change_id, **facts})
        result: Facts = {}
        try:
            yield result
        except CrossfixError as error:
            with suppress(CrossfixError):
                failed = {"phase": "failed", "change_id": change_id, "error": error.kind}
                self.record(action, failed, closing=True)
            raise
        self.record(action, {"phase": "done", "change_id": change_id, **result}, closing=True)


def chips_and_ids(sightings: Sequence[Sighting]) -> list[Facts]:
    """Return the ids of sightings and the SHA-256 of their chips."""
    return [{"sighting_id": str(s.id), "chip_sha256": s.chip_sha256} for s in sightings]


def digests(uploads: Sequence[ChipUpload]) -> list[str]:
    """Return the SHA-256 of each upload."""
    return [upload.digest for upload in uploads]
