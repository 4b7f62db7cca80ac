"""Enrol a fleet; a run can be stopped and repeated without enrolling twice."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID

from service.client.errors import ClientError, RefusedError, SourceError
from service.client.fleet.vessels import Fleet
from service.client.remote.call import ChipPart
from service.client.remote.client import Client
from service.client.remote.enrolling import ChipToEnrol

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Chips of a vessel that were not enrolled, and the reason."""

    vessel: str
    files: tuple[str, ...]
    kind: str
    reason: str


@dataclass(slots=True)
class EnrolReport:
    """Counts and refusals of one enrolment run.

    Attributes:
        enrolled: ids of the vessels that are registered after the run.
        created: vessels that this run registered.
        known: vessels that were registered before; missing chips were added.
        chips: chips that are enrolled after the run, sent by this or an earlier run.
        warnings: what the service says of chips that it enrolled, each sentence once, after the
            vessel and the file of the first chip and the number of others.
        stopped: whether the run was interrupted before everything was sent.
    """

    dataset: str
    vessels: int
    enrolled: set[UUID] = field(default_factory=set)
    created: int = 0
    known: int = 0
    chips: int = 0
    refused: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stopped: bool = False
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """Return the output of `--json`: everything but the ids."""
        return {name: value for name, value in asdict(self).items() if name != "enrolled"}


def enrol_fleet(client: Client, fleet: Fleet, *, advance: Advance = lambda _: None) -> EnrolReport:
    """Send every vessel with its chips; each has a fixed id, so repeating changes nothing.

    Ctrl-C (KeyboardInterrupt) ends the run and sets `stopped`.

    Args:
        advance: called with the number of chips that were enrolled or refused.

    Raises:
        RefusedError: the service refuses this caller.
        UnreachableError: the service no longer answers; what was sent before is enrolled.
    """
    report = EnrolReport(fleet.dataset, len(fleet.vessels))
    labels = {str(vessel.id): vessel.label for vessel in fleet.vessels}
    created: set[UUID] = set()
    refused: dict[tuple[str, str, str], list[str]] = {}
    warned: dict[str, list[str]] = {}
    started = time.monotonic()

    def refuse(vessel_id: object, file: str, error: ClientError) -> None:
        kind = error.kind if isinstance(error, RefusedError) else "file"
        refused.setdefault((labels[str(vessel_id)], kind, str(error)), []).append(file)
        advance(1)

    chips = _chips(fleet, refuse, advance)
    try:
        for result in client.enrol_many(chips):
            response = result.response
            if result.problem is not None:
                refuse(result.chip.vessel_id, result.chip.chip.name, result.problem)
            elif response is not None and response.vessel_id is not None:
                report.chips += 1
                of = f"{labels[str(result.chip.vessel_id)]} ({result.chip.chip.name})"
                for warning in response.warnings:
                    warned.setdefault(warning, []).append(of)
                report.enrolled.add(response.vessel_id)
                created |= {response.vessel_id} if response.created else set()
                advance(1)
    except KeyboardInterrupt:
        report.stopped = True
    for warning, (first, *others) in warned.items():
        more = f" and {len(others)} more" if others else ""
        report.warnings.append(f"{first}{more}: {warning}")
    report.created, report.known = len(created), len(report.enrolled - created)
    report.refused = sorted(
        (Refusal(one[0], tuple(files), *one[1:]) for one, files in refused.items()),
        key=lambda refusal: (refusal.vessel, refusal.files),
    )
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _chips(
    fleet: Fleet, refuse: Callable[[UUID, str, ClientError], None], advance: Advance
) -> Iterator[ChipToEnrol]:
    """Yield chips with their bytes; refuse unreadable files and skip identical ones of a vessel.

    A chip that is listed twice with different facts is refused the second time.
    """
    for vessel in fleet.vessels:
        described = {"id": str(vessel.id), "source": fleet.dataset, **vessel.attributes}
        known: dict[bytes, ChipPart] = {}
        for chip in vessel.chips:
            try:
                part = ChipPart.read(chip.path, **chip.metadata)
            except SourceError as error:
                refuse(vessel.id, chip.path.name, error)
                continue
            digest = hashlib.sha256(part.data).digest()
            first = known.get(digest)
            if first is None:
                known[digest] = replace(part, data=b"")
                yield ChipToEnrol(part, described)
            elif first.metadata == part.metadata:
                advance(1)
            else:
                twice = f"it is the same chip as {first.name}, with other facts; keep one of them"
                refuse(vessel.id, part.name, SourceError(twice))
