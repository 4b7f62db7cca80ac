"""Registering a fleet: in parallel, patiently, and so that it can be stopped and repeated."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from uuid import UUID

from service.client.errors import ClientError, RefusedError, SourceError, StoppedError
from service.client.fleet.vessels import ChipFile, Fleet, FleetVessel
from service.client.http import ChipPart, CrossfixClient, Json

CHIPS_PER_REQUEST = 16
BYTES_PER_REQUEST = 24_000_000
_LOOK_AROUND_S = 0.2

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was not enrolled, and why."""

    vessel: str
    files: tuple[str, ...]
    kind: str
    reason: str


@dataclass(slots=True)
class EnrolReport:
    """What became of a fleet.

    Attributes:
        dataset: its name.
        vessels: how many it has.
        enrolled: ids of the vessels that are registered now.
        created: vessels that were registered now.
        known: vessels that were registered before; missing chips were added.
        chips: chips that are enrolled now, sent by this or an earlier run.
        refused: what was not enrolled.
        stopped: whether the run ended before everything was sent.
        seconds: how long it took.
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

    def document(self) -> Json:
        """For `--json`: everything but the ids."""
        return {name: value for name, value in asdict(self).items() if name != "enrolled"}


def enrol_fleet(
    client: CrossfixClient,
    fleet: Fleet,
    *,
    workers: int = 4,
    advance: Advance = lambda chips: None,
) -> EnrolReport:
    """Send every vessel with its chips; each has a fixed id, so repeating changes nothing.

    Ctrl-C (KeyboardInterrupt) ends it after the requests under way and sets `stopped`.

    Args:
        client: the service.
        fleet: what to register.
        workers: how many vessels are sent at once.
        advance: called from the workers with the number of chips that are done.

    Raises:
        UnreachableError: the service is gone; what was sent before is enrolled.
    """
    report = EnrolReport(fleet.dataset, len(fleet.vessels))
    began = time.monotonic()
    run = _Run(client, fleet.dataset, report, advance)
    with ThreadPoolExecutor(workers, thread_name_prefix="enrol") as pool:
        futures = [pool.submit(run.send, vessel) for vessel in fleet.vessels]
        try:
            _wait(futures)
        except KeyboardInterrupt:
            report.stopped = True
        finally:
            if any(not future.done() for future in futures):
                client.stopping.set()
                pool.shutdown(cancel_futures=True)
    report.seconds = round(time.monotonic() - began, 3)
    report.refused.sort(key=lambda refusal: (refusal.vessel, refusal.files))
    return report


def _wait(futures: Sequence[Future[None]]) -> None:
    """Until all are done or one failed; wakes up regularly so that Ctrl-C is heard."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=_LOOK_AROUND_S, return_when="FIRST_EXCEPTION")
        for future in done:
            future.result()


class _Run:
    """One run over a fleet; `send` is called from several threads."""

    def __init__(
        self, client: CrossfixClient, dataset: str, report: EnrolReport, advance: Advance
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._report = report
        self._advance = advance
        self._counting = threading.Lock()

    def send(self, vessel: FleetVessel) -> None:
        """Register one vessel; what is refused goes into the report."""
        sender = _VesselSender(self._client, vessel, self._dataset)
        try:
            for batch in _batches(self._readable(vessel)):
                self._send_batch(sender, batch)
        except StoppedError:
            return
        with self._counting:
            if sender.registered:
                self._report.enrolled.add(vessel.id)
                self._report.created += sender.created
                self._report.known += not sender.created

    def _send_batch(self, sender: "_VesselSender", batch: Sequence[ChipPart]) -> None:
        """All chips of a batch at once or, when one of them is at fault, one by one."""
        try:
            sender.send(batch)
        except RefusedError as error:
            if error.is_about_a_chip and len(batch) > 1:
                for chip in batch:
                    self._send_batch(sender, [chip])
            else:
                self._refuse(sender.vessel, [chip.name for chip in batch], error.kind, error)
            return
        with self._counting:
            self._report.chips += len(batch)
        self._advance(len(batch))

    def _readable(self, vessel: FleetVessel) -> Iterator[ChipPart]:
        """Chips with their bytes; unreadable files are refused, equal ones are sent once."""
        seen: set[bytes] = set()
        for chip in vessel.chips:
            try:
                part = read_chip(chip)
            except SourceError as error:
                self._refuse(vessel, [chip.path.name], "file", error)
                continue
            digest = hashlib.sha256(part.data).digest()
            if digest in seen:
                self._advance(1)
                continue
            seen.add(digest)
            yield part

    def _refuse(
        self, vessel: FleetVessel, files: Sequence[str], kind: str, error: ClientError
    ) -> None:
        with self._counting:
            self._report.refused.append(Refusal(vessel.label, tuple(files), kind, str(error)))
        self._advance(len(files))


class _VesselSender:
    """Registers a vessel with its first chips and adds the others to it."""

    def __init__(self, client: CrossfixClient, vessel: FleetVessel, dataset: str) -> None:
        self.vessel = vessel
        self.registered = False
        self.created = False
        self._client = client
        self._document = {"id": str(vessel.id), "source": dataset, **vessel.attributes}

    def send(self, chips: Sequence[ChipPart]) -> None:
        """Raises RefusedError, UnreachableError, StoppedError."""
        if self.registered:
            self._client.add_chips(self.vessel.id, chips)
            return
        self.created = self._client.enrol(self._document, chips)
        self.registered = True


def read_chip(chip: ChipFile) -> ChipPart:
    """Raises SourceError when the file cannot be read."""
    try:
        return ChipPart(chip.path.name, chip.path.read_bytes(), chip.metadata)
    except OSError as error:
        raise SourceError(f"{chip.path} cannot be read: {error.strerror or error}") from error


def _batches(chips: Iterator[ChipPart]) -> Iterator[list[ChipPart]]:
    """As many chips as one request should carry."""
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
