"""Queue work of many threads and run it in small batches."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.errors import OverloadedError
from service.inference.embedder import Embedder

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)


BatchListener = Callable[[str, int], None]
"""Called after each batch with the name of its lane and the number of items that ran together."""


def _ignore(_lane: str, _size: int) -> None:
    """Do nothing (the default listener)."""


class Batcher(Generic[T, R]):
    """A thread that runs waiting items in batches.

    An idle thread runs at once what waits, so that batches fill up while the one before them runs.
    When a batch fails, its items run one by one, so that only the faulty item fails.
    """

    def __init__(
        self,
        run: Callable[[list[T]], list[R]],
        *,
        max_batch: int,
        max_queue: int,
        lane: str = "batcher",
        listener: BatchListener = _ignore,
    ) -> None:
        """Start the thread.

        Args:
            run: computes the results of a batch, in order; called by this thread only.
            lane: name of the thread, for errors and the listener.
            listener: called by the thread after each batch; must return quickly.
        """
        if max_batch < 1 or max_queue < 1:
            raise ValueError(
                f"a batcher needs max_batch and max_queue of at least 1, "
                f"got {max_batch} and {max_queue}"
            )
        self._run = run
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._lane = lane
        self._listener = listener
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._batch_started: float | None = None
        self._thread = threading.Thread(target=self._work, name=lane, daemon=True)
        self._thread.start()

    @property
    def queue_depth(self) -> int:
        """Number of items that wait."""
        return len(self._waiting)

    @property
    def busy_s(self) -> float:
        """Seconds that the current batch has been running; 0 when none is."""
        started = self._batch_started
        return 0.0 if started is None else time.perf_counter() - started

    def submit(self, item: T) -> Future[R]:
        """Queue an item; see `submit_all`."""
        return self.submit_all([item])[0]

    def submit_all(self, items: Sequence[T]) -> list[Future[R]]:
        """Queue items next to each other, all or none; an empty queue takes any number.

        Raises:
            OverloadedError: the queue is full, or the batcher is closing.
        """
        with self._changed:
            if self._closing:
                raise OverloadedError(f"the {self._lane} queue is closing and takes no more work")
            if self._waiting and len(self._waiting) + len(items) > self._max_queue:
                raise OverloadedError(
                    f"{len(self._waiting)} chips wait in the {self._lane} queue already; "
                    f"try again later"
                )
            futures: list[Future[R]] = [Future() for _ in items]
            self._waiting.extend(zip(items, futures, strict=True))
            self._changed.notify_all()
            return futures

    def close(self) -> None:
        """Reject new items, finish the accepted ones and stop the thread; may be called again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            running = [
                (item, future) for item, future in batch if future.set_running_or_notify_cancel()
            ]
            if running:
                self._batch_started = time.perf_counter()
                self._run_batch(running)
                self._batch_started = None
                self._report(len(running))

    def _report(self, size: int) -> None:
        """Call the listener; its errors are logged and do not stop the thread."""
        try:
            self._listener(self._lane, size)
        except Exception:
            logger.exception("the listener of the %s queue failed", self._lane)

    def _next_batch(self) -> list[tuple[T, Future[R]]]:
        """Wait for a batch; return an empty one once the batcher is closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            size = min(len(self._waiting), self._max_batch)
            return [self._waiting.popleft() for _ in range(size)]

    def _run_batch(self, batch: list[tuple[T, Future[R]]]) -> None:
        """Set the result or the error of every future of a batch."""
        try:
            results = self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} items ran, {len(results)} results came back")
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for pair in batch:
                self._run_batch([pair])
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """The sizes of batches and queues, and the time limits, of a `BatchedEmbedder`.

    An optical chip may need K translations, hence the smaller batches and queue.
    """

    sar_batch: int = 8
    sar_queue: int = 256
    optical_batch: int = 4
    optical_queue: int = 128
    picture_queue: int = 16
    timeout_s: float = 120.0


class BatchedEmbedder:
    """An `Embedder` for many threads.

    SAR chips, optical chips and translations have a lane (a `Batcher`) each, so that a SAR query
    never waits for a translation.
    """

    def __init__(
        self,
        embedder: Embedder,
        settings: LaneSettings | None = None,
        listener: BatchListener = _ignore,
    ) -> None:
        settings = settings or LaneSettings()
        self._embedder = embedder
        self._timeout_s = settings.timeout_s
        sizes = {
            Modality.SAR: (settings.sar_batch, settings.sar_queue),
            Modality.OPTICAL: (settings.optical_batch, settings.optical_queue),
        }
        self._lanes: dict[Modality, Batcher[Chip, EmbeddedChip]] = {
            modality: Batcher(
                embedder.embed_many,
                max_batch=max_batch,
                max_queue=max_queue,
                lane=modality.value,
                listener=listener,
            )
            for modality, (max_batch, max_queue) in sizes.items()
        }
        self._pictures: Batcher[Chip, NDArray[np.uint8]] = Batcher(
            lambda chips: [embedder.translate(chip) for chip in chips],
            max_batch=1,
            max_queue=settings.picture_queue,
            lane="pictures",
            listener=listener,
        )

    @property
    def bundle_id(self) -> str:
        """Id of the bundle whose models make the vectors."""
        return self._embedder.bundle_id

    @property
    def width(self) -> int:
        """D, the number of dimensions of an embedding."""
        return self._embedder.width

    def queue_depths(self) -> dict[str, int]:
        """Return the number of chips that wait, by lane."""
        depths = {modality.value: lane.queue_depth for modality, lane in self._lanes.items()}
        return {**depths, "pictures": self._pictures.queue_depth}

    def busy_s(self) -> float:
        """Return the seconds that the oldest current batch has been running; 0 if there is none."""
        return max(*(lane.busy_s for lane in self._lanes.values()), self._pictures.busy_s)

    def embed(self, chip: Chip) -> EmbeddedChip:
        """Embed one chip, in a batch with others that arrive at the same time.

        Raises:
            OverloadedError: the queue is full or closing, or the time is over.
            ValueError: the embedding is zero or not finite.
        """
        return self._await(self._lanes[chip.modality].submit(chip))

    def embed_all(
        self, chips: Sequence[Chip], meanwhile: Callable[[], None] | None = None
    ) -> list[EmbeddedChip]:
        """Embed chips in order; those of one sensor are queued together.

        Args:
            chips: of any sensors.
            meanwhile: called when all chips are queued, while the models work.

        Raises:
            OverloadedError, ValueError: see `embed`.
        """
        futures: dict[int, Future[EmbeddedChip]] = {}
        for modality, lane in self._lanes.items():
            places = [place for place, chip in enumerate(chips) if chip.modality is modality]
            if places:
                queued = lane.submit_all([chips[place] for place in places])
                futures |= zip(places, queued, strict=True)
        if meanwhile is not None:
            meanwhile()
        return [self._await(futures[place]) for place in range(len(chips))]

    def translate(self, chip: Chip) -> NDArray[np.uint8]:
        """Return the pseudo-SAR pictures of an optical chip: uint8 `[K, h, w]`.

        Raises:
            TranslationError: the chip is SAR, or the bundle has no translator.
            OverloadedError: see `embed`.
        """
        return self._await(self._pictures.submit(chip))

    def close(self) -> None:
        """Reject new chips and finish the accepted ones."""
        for lane in self._lanes.values():
            lane.close()
        self._pictures.close()

    def _await(self, future: "Future[R]") -> R:
        try:
            return future.result(self._timeout_s)
        except FutureTimeoutError as error:
            if not future.cancel() and future.done():
                return future.result()
            raise OverloadedError(
                f"the chip was not embedded within {self._timeout_s:g} s; try again later"
            ) from error
