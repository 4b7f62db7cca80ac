"""Enrol a fleet in parallel; a run can be stopped and repeated without enrolling twice."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from uuid import UUID

from service.client.errors import ClientError, RefusedError, SourceError, StoppedError
from service.client.fleet.vessels import Fleet, FleetVessel
from service.client.remote.call import ChipPart
from service.client.remote.client import Client

CHIPS_PER_REQUEST = 16
BYTES_PER_REQUEST = 24_000_000
_INTERRUPT_POLL_S = 0.2

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
        dataset: name of the fleet's data set.
        vessels: vessels of the fleet.
        enrolled: ids of the vessels that are registered after the run.
        created: vessels that this run registered.
        known: vessels that were registered before; missing chips were added.
        chips: chips that are enrolled after the run, sent by this or an earlier run.
        refused: chips that were not enrolled.
        stopped: whether the run was interrupted before everything was sent.
        seconds: duration.
    """

    dataset: str
    vessels: int
    enrolled: set[UUID] = field(default_factory=set)
    created: int = 0
    known: int = 0
    chips: int = 0
    refused: list[Refusal] = field(default_factory=list)
    stopped: bool = False
    seconds: float = 0.0

    def document(self) -> dict[str, object]:
        """Return the output of `--json`: everything but the ids."""
        return {name: value for name, value in asdict(self).items() if name != "enrolled"}


def enrol_fleet(
    client: Client,
    fleet: Fleet,
    *,
    workers: int = 4,
    advance: Advance = lambda _: None,
) -> EnrolReport:
    """Send every vessel with its chips; each has a fixed id, so repeating changes nothing.

    Ctrl-C (KeyboardInterrupt) ends the run after the requests in flight and sets `stopped`.

    Args:
        client: the service.
        fleet: vessels to register.
        workers: number of vessels that are sent at once.
        advance: called by the workers with the number of chips that were sent or refused.

    Raises:
        UnreachableError: the service no longer answers; what was sent before is enrolled.
    """
    report = EnrolReport(fleet.dataset, len(fleet.vessels))
    started = time.monotonic()
    runs = [_VesselRun(client, fleet.dataset, vessel, advance) for vessel in fleet.vessels]
    with ThreadPoolExecutor(workers, thread_name_prefix="enrol") as pool:
        futures = [pool.submit(run.send) for run in runs]
        try:
            _wait(futures)
        except KeyboardInterrupt:
            report.stopped = True
        finally:
            if any(not future.done() for future in futures):
                client.stopping.set()
                pool.shutdown(cancel_futures=True)
    for run in runs:
        report.chips += run.chips
        report.refused += run.refused
        if run.finished and run.created is not None:
            report.enrolled.add(run.vessel.id)
            report.created += run.created
            report.known += not run.created
    report.seconds = round(time.monotonic() - started, 3)
    report.refused.sort(key=lambda refusal: (refusal.vessel, refusal.files))
    return report


def _wait(futures: Sequence[Future[None]]) -> None:
    """Wait until all are done or one failed; wake up regularly so that Ctrl-C takes effect."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_INTERRUPT_POLL_S, return_when="FIRST_EXCEPTION")
        for future in done:
            future.result()


class _VesselRun:
    """Sends one vessel, in one thread, and counts its chips.

    Attributes:
        created: whether this run registered the vessel; None while it is not registered.
        finished: whether every chip was sent or refused.
    """

    def __init__(self, client: Client, dataset: str, vessel: FleetVessel, advance: Advance) -> None:
        self.vessel = vessel
        self.created: bool | None = None
        self.finished = False
        self.chips = 0
        self.refused: list[Refusal] = []
        self._client = client
        self._advance = advance
        self._document = {"id": str(vessel.id), "source": dataset, **vessel.attributes}

    def send(self) -> None:
        """Register the vessel with its first batch of chips and add later batches to it."""
        try:
            for batch in _batches(self._readable()):
                self._send_batch(batch)
        except StoppedError:
            return
        self.finished = True

    def _send_batch(self, batch: Sequence[ChipPart]) -> None:
        """Send a batch in one request; if a chip of it is refused, send each chip alone."""
        try:
            if self.created is None:
                self.created = self._client.enrol(self._document, batch).created
            else:
                self._client.add_chips(self.vessel.id, batch)
        except RefusedError as error:
            if error.is_about_a_chip and len(batch) > 1:
                for chip in batch:
                    self._send_batch([chip])
            else:
                self._refuse([chip.name for chip in batch], error.kind, error)
            return
        self.chips += len(batch)
        self._advance(len(batch))

    def _readable(self) -> Iterator[ChipPart]:
        """Yield chips with their bytes; refuse unreadable files and skip identical ones."""
        digests: set[bytes] = set()
        for chip in self.vessel.chips:
            try:
                part = ChipPart.read(chip.path, **chip.metadata)
            except SourceError as error:
                self._refuse([chip.path.name], "file", error)
                continue
            digest = hashlib.sha256(part.data).digest()
            if digest in digests:
                self._advance(1)
                continue
            digests.add(digest)
            yield part

    def _refuse(self, files: Sequence[str], kind: str, error: ClientError) -> None:
        self.refused.append(Refusal(self.vessel.label, tuple(files), kind, str(error)))
        self._advance(len(files))


def _batches(chips: Iterator[ChipPart]) -> Iterator[list[ChipPart]]:
    """Group chips by the number and size that one request may carry."""
    batch: list[ChipPart] = []
    size = 0
    for chip in chips:
        if batch and (len(batch) == CHIPS_PER_REQUEST or size + len(chip.data) > BYTES_PER_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(chip)
        size += len(chip.data)
    if batch:
        yield batch
