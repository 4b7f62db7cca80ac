"""What is written into the audit log: every answer to "which vessel?", every change.

A match is one entry, kept before the answer leaves. A change is two: `begun` before its first
write and `done` or `failed` after its last. A change that is only `begun` was interrupted and
never acknowledged; recovery has finished or undone it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID, uuid4

from service.access.caller import current_caller
from service.contract.errors import CrossfixError
from service.contract.utc_time import Clock
from service.identity.uploads import ChipUpload
from service.identity.ports.audit import AuditLog
from service.identity.records.matches import Match
from service.identity.records.sightings import Sighting
from service.identity.stage_timing import Measure, measured, ignore_timings

Facts = dict[str, object]


class AuditTrail:
    """Writes entries with who and when; `bundle_id` names the models and the gallery in use."""

    def __init__(
        self, log: AuditLog, now: Clock, bundle_id: str, measure: Measure = ignore_timings
    ) -> None:
        """`measure` is told the milliseconds of each entry, as the stage `audit`."""
        self._log = log
        self._now = now
        self._bundle_id = bundle_id
        self._measure = measure

    def note(self, action: str, facts: Mapping[str, object], *, closing: bool = False) -> None:
        """Keep one entry; returns when it would survive a crash.

        Args:
            action: what was done, e.g. `match` or `verdict`.
            facts: JSON values.
            closing: whether it ends what an entry before it began.

        Raises:
            StoreUnavailableError, StoreFullError: the entry is not kept.
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
            self._log.append(entry, closing=closing)

    def matched(self, match: Match, options: Mapping[str, object]) -> None:
        """Keep a match: the chip, what was asked, which gallery, and the ids that were returned."""
        self.note(
            "match",
            {
                "match_id": str(match.id),
                "chip_sha256": match.query.chip_sha256,
                "sighting_id": str(match.query.id),
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
                "none_probability": round(match.none_probability, 6),
                "gallery": {
                    "vessels": match.gallery.vessels,
                    "sightings": match.gallery.sightings,
                },
            },
        )

    @contextmanager
    def change(self, action: str, **asked: object) -> Iterator[Facts]:
        """Keep a change before and after it is made.

        Args:
            action: what is changed, e.g. `enrol`.
            asked: JSON values known beforehand.

        Yields:
            a dictionary for what is known only afterwards.
        """
        change_id = str(uuid4())
        self.note(action, {"phase": "begun", "change_id": change_id, **asked})
        result: Facts = {}
        try:
            yield result
        except CrossfixError as error:
            with suppress(CrossfixError):
                failed = {"phase": "failed", "change_id": change_id, "error": error.kind}
                self.note(action, failed, closing=True)
            raise
        self.note(action, {"phase": "done", "change_id": change_id, **result}, closing=True)


def chips_and_ids(sightings: Sequence[Sighting]) -> list[Facts]:
    """Which sightings there are and which bytes they show."""
    return [{"sighting_id": str(s.id), "chip_sha256": s.chip_sha256} for s in sightings]


def digests(uploads: Sequence[ChipUpload]) -> list[str]:
    return [upload.digest for upload in uploads]


def ids(several: Collection[UUID]) -> list[str]:
    return sorted(str(one) for one in several)
