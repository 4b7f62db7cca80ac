"""Enrol the chips of many vessels in one request.

Chips are decoded at the same time, embedded in full batches, and stored vessel by vessel.
A chip that cannot be used, or a vessel that cannot be registered, does not stop the others.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from service.contract.batches import in_batches
from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.identity.context import Context, UseCase
from service.identity.enrol import EnrolledVessel, Enrolment, NewVessel, get_visible_vessel
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipUpload, EmbedAll, EmbeddedUpload, UploadEmbedder

CHIPS_AT_ONCE = 16
"""Chips of all bulk requests that are decoded or embedded at once: enough for two batches.

No more of them are before a chip of another request."""

CHIPS_EMBEDDED_TOGETHER = 8
"""Chips of one sensor type that wait for each other: more would take as long for each chip."""

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
    """

    number: int
    vessel: NewVessel | UUID
    upload: ChipUpload


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of a chip.

    Attributes:
        sighting: the sighting that the vessel has of it; None when it was refused.
        warnings: stated facts that were not used, what is bad about the chip, other vessels that
            have it too, what was assumed while it was read, and, with the first chip of its vessel,
            that the vessel had been deleted.
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
        embedded: for each the embedding that was begun; none when the vessel is refused.
        store: registers the vessel, or adds chips to it.
    """

    chips: Sequence[BulkChip]
    embedded: "Sequence[Future[EmbeddedUpload]]" = ()
    store: Callable[[Sequence[EmbeddedUpload]], EnrolledVessel] | None = None
    problem: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    """Chips that one thread embeds, and what becomes of them."""

    chips: Sequence[Chip]
    embedded: "Future[list[EmbeddedChip]]"


class _Gathering:
    """Embeds the chips of several threads together, so that batches are full.

    A chip waits for others of its sensor type as long as any chip is on its way here.
    """

    def __init__(self, embed_all: EmbedAll) -> None:
        """`embed_all` embeds the chips of a group."""
        self._embed_all = embed_all
        self._lock = threading.Lock()
        self._on_their_way = set[int]()  # threads
        self._waiting: dict[Modality, list[_Group]] = {}

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Have other chips wait for this thread until it embeds one, or the block ends."""
        with self._lock:
            self._on_their_way.add(threading.get_ident())
        try:
            yield
        finally:
            self._arrived(None)

    def embed_all(self, chips: Sequence[Chip]) -> list[EmbeddedChip]:
        """Embed chips of one sensor type with those of other threads; see `ChipEmbedder`."""
        own = _Group(chips, Future())
        self._arrived(own)
        return own.embedded.result()

    def _arrived(self, own: "_Group | None") -> None:
        """Note that this thread is not on its way any more; embed the groups that are complete."""
        with self._lock:
            self._on_their_way.discard(threading.get_ident())
            if own is not None:
                self._waiting.setdefault(own.chips[0].modality, []).append(own)
            complete = [
                self._waiting.pop(modality)
                for modality, groups in list(self._waiting.items())
                if not self._on_their_way
                or sum(len(one.chips) for one in groups) >= CHIPS_EMBEDDED_TOGETHER
            ]
        for groups in complete:
            self._embed(groups)

    def _embed(self, groups: "Sequence[_Group]") -> None:
        try:
            embedded = iter(self._embed_all([chip for one in groups for chip in one.chips]))
        except Exception as error:
            if len(groups) == 1:
                groups[0].embedded.set_exception(error)
                return
            for one in groups:  # only the chip that cannot be embedded fails
                self._embed([one])
            return
        for one in groups:
            one.embedded.set_result([next(embedded) for _ in one.chips])


class BulkEnrolment(UseCase):
    """The use case behind `POST /gallery/bulk`."""

    def __init__(self, context: Context, enrolment: Enrolment, uploads: UploadEmbedder) -> None:
        super().__init__(context)
        self._enrolment = enrolment
        self._uploads = uploads
        self._gathering = _Gathering(lambda chips: uploads.embedder.embed_all(chips))
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
            for part in in_batches(of_vessel, CHIPS_STORED_TOGETHER):
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
        return self._threads.submit(copy_context().run, self._embed, upload)

    def _embed(self, upload: ChipUpload) -> EmbeddedUpload:
        with self._gathering.expected():
            return self._uploads.embed(upload, embed_all=self._gathering.embed_all)


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
        sighting, is_new = sightings[digest], digest in added
        said = (
            *notes,
            *done.stored.warnings.get(digest, ()),
            *(sighting.warnings if is_new else ()),
        )
        warnings = tuple(dict.fromkeys(said))
        yield BulkOutcome(chip.number, sighting, is_new, done.created, warnings)
        notes = ()
        added.discard(digest)
