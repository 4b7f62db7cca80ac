"""Enrol the chips of many vessels in one request.

Chips are decoded and embedded at the same time, so that batches fill, and stored vessel by vessel.
A chip that cannot be used, or a vessel that cannot be registered, does not stop the others.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from service.identity.context import Context
from service.identity.enrol import EnrolledVessel, Enrolment, NewVessel, get_visible_vessel
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipUpload, EmbeddedUpload, UploadEmbedder

CHIPS_AT_ONCE = 16
"""Chips of all bulk requests that are decoded or embedded at once: enough for two batches.

No more of them are before a chip of another request."""

CHIPS_AHEAD = 64
"""Chips of one request that are begun before those in front of them are stored."""

CHIPS_STORED_TOGETHER = 16
"""Chips of one vessel that are stored, and acknowledged, together at most."""


@dataclass(frozen=True, slots=True)
class BulkChip:
    """A chip to enrol.

    Attributes:
        number: its place in the request, for the sender.
        vessel: the vessel to register with it, or the id of a registered one.
        upload: the chip.
    """

    number: int
    vessel: NewVessel | UUID
    upload: ChipUpload


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of a chip.

    Attributes:
        number: its place in the request.
        sighting: the sighting that the vessel has of it; None when it was refused.
        added: whether this request stored it.
        created: whether this request registered the vessel.
        warnings: stated facts that were not used, what is bad about the chip, other vessels that
            have it too, and, with the first chip of its vessel, that the vessel had been deleted.
        problem: why it was refused.
    """

    number: int
    sighting: Sighting | None = None
    added: bool = False
    created: bool = False
    warnings: tuple[str, ...] = ()
    problem: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Chips of one vessel that are stored together.

    Attributes:
        chips: all of them.
        embedded: for each the embedding that was begun; none when the vessel is refused.
        store: registers the vessel, or adds chips to it.
        problem: why the vessel is refused.
    """

    chips: Sequence[BulkChip]
    embedded: "Sequence[Future[EmbeddedUpload]]" = ()
    store: Callable[[Sequence[EmbeddedUpload]], EnrolledVessel] | None = None
    problem: Exception | None = None


class BulkEnrolment:
    """The use case behind `POST /gallery/bulk`."""

    def __init__(self, context: Context, enrolment: Enrolment, uploads: UploadEmbedder) -> None:
        self._gallery = context.gallery
        self._enrolment = enrolment
        self._uploads = uploads
        self._threads = ThreadPoolExecutor(CHIPS_AT_ONCE, thread_name_prefix="bulk")

    def enrol(self, chips: Iterable[BulkChip]) -> Iterator[BulkOutcome]:
        """Enrol chips; yield what became of each as soon as it is stored or refused.

        Chips that name the same vessel in the same words are one vessel. Those of one vessel come
        in their order, and the vessels in that of their first chips. The caller's thread stores;
        when it asks for no more, nothing more is stored.
        """
        parts, waiting = self._parts(chips), deque[_Part]()
        try:
            while True:
                while sum(len(part.chips) for part in waiting) < CHIPS_AHEAD:
                    if (part := next(parts, None)) is None:
                        break
                    waiting.append(part)
                if not waiting:
                    return
                yield from _stored(waiting.popleft())
        finally:
            for part in waiting:
                for embedding in part.embedded:
                    embedding.cancel()

    def _parts(self, chips: Iterable[BulkChip]) -> Iterator[_Part]:
        """Begin to embed part after part, whenever the next is asked for."""
        vessels: dict[str, list[BulkChip]] = {}
        for chip in chips:
            vessels.setdefault(_words(chip.vessel), []).append(chip)
        for of_vessel in vessels.values():
            for first in range(0, len(of_vessel), CHIPS_STORED_TOGETHER):
                part = of_vessel[first : first + CHIPS_STORED_TOGETHER]
                try:
                    store = self._storing(part[0].vessel, of_vessel)
                except Exception as error:
                    yield _Part(part, problem=error)
                else:
                    yield _Part(part, [self._begin(chip.upload) for chip in part], store)

    def _storing(
        self, stated: NewVessel | UUID, chips: Sequence[BulkChip]
    ) -> Callable[[Sequence[EmbeddedUpload]], EnrolledVessel]:
        """Return what stores embedded chips for a vessel; raise the error of a refused vessel."""
        if isinstance(stated, UUID):
            get_visible_vessel(self._gallery, stated)
            return partial(self._enrolment.add_embedded, stated)
        digests = sorted({chip.upload.digest for chip in chips})
        vessel = self._enrolment.describe(stated, digests)
        return partial(self._enrolment.register, vessel, derived=stated.id is None)

    def _begin(self, upload: ChipUpload) -> "Future[EmbeddedUpload]":
        """Embed a chip in another thread, on behalf of the same caller."""
        return self._threads.submit(copy_context().run, self._uploads.embed, upload)


def _words(vessel: NewVessel | UUID) -> str:
    return str(vessel) if isinstance(vessel, UUID) else vessel.model_dump_json()


def _stored(part: _Part) -> Iterator[BulkOutcome]:
    """Store those chips of a part that can be used; a chip that is there twice is stored once."""
    usable: dict[str, EmbeddedUpload] = {}
    problems: dict[int, Exception] = {}
    digests: dict[int, str] = {}
    for chip, embedding in zip(part.chips, part.embedded, strict=False):
        try:
            embedded = embedding.result()
        except Exception as error:
            problems[chip.number] = error
        else:
            digests[chip.number] = embedded.chip.digest
            usable.setdefault(embedded.chip.digest, embedded)
    done, failure = None, part.problem
    if part.store is not None and usable:
        try:
            done = part.store(list(usable.values()))
        except Exception as error:
            failure = error
    added = set() if done is None else set(done.stored.added)
    sightings = {} if done is None else {one.chip_sha256: one for one in done.sightings}
    notes = () if done is None else done.notes
    for chip in part.chips:
        digest = digests.get(chip.number)
        if done is None or digest is None:
            yield BulkOutcome(chip.number, problem=problems.get(chip.number, failure))
            continue
        warnings = (*notes, *done.stored.warnings.get(digest, ()))
        yield BulkOutcome(chip.number, sightings[digest], digest in added, done.created, warnings)
        notes = ()
        added.discard(digest)
