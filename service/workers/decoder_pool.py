"""Decode and frame chips in processes of their own, each with a time limit and a memory limit.

A file can be small and legal in its header and still keep a decoder busy for minutes or take
gigabytes. In a process of its own that costs one worker, which is killed and replaced, and not the
service.
"""

import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from service.contract.chip import Modality
from service.contract.errors import ChipError, DecodeLimitError, OverloadedError
from service.contract.framing.apply import FramedChip
from service.contract.framing.records import Framing, FramingMode
from service.workers.decoder import DecodeAnswer, DecoderDefect, DecodeRequest, serve_decoder

log = logging.getLogger("crossfix")

MEMORY_BYTES = 384 * 2**20
"""What decoding one chip may take beyond an idle worker; the largest legal chip needs less."""
PRELOADED = ["service.workers.decoder"]
"""Imported once; every worker is forked from the process that imported it, in milliseconds."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Limits of a pool.

    Attributes:
        workers: processes, so also the number of chips that are decoded at the same time.
        timeout_s: seconds that decoding one chip may take; then its worker is killed.
        wait_s: seconds that a chip waits for a free worker.
        memory_bytes: memory that decoding one chip may take.
    """

    workers: int
    timeout_s: float = 5.0
    wait_s: float = 20.0
    memory_bytes: int = MEMORY_BYTES


class DecoderPool:
    """A fixed number of decoder processes. Safe to call from many threads."""

    def __init__(self, pool: PoolLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the workers in the background; chips wait until the first one runs.

        Args:
            pool: number of workers, and their limits.
            clock: seconds that only increase.
        """
        self._pool = pool
        self._clock = clock
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._all_busy_since: float | None = None
        self._closed = False
        self._starter = threading.Thread(target=self._start_all, name="decoders", daemon=True)
        self._starter.start()

    def frame(
        self,
        data: bytes,
        framing: FramingMode | Framing,
        *,
        modality: Modality | None = None,
        gsd_m: float | None = None,
        band: int | None = None,
    ) -> FramedChip:
        """Decode one chip and frame it, see `ChipDecoder`.

        Raises:
            ChipError: as there; DecodeLimitError where decoding takes too much time or memory.
            OverloadedError: no worker became free in time, or the pool was closed.
        """
        request = DecodeRequest(data, modality, gsd_m, band, framing)
        worker = self._take()
        try:
            answer = worker.ask(request, self._pool.timeout_s)
        except (_OverrunError, EOFError, OSError) as error:
            self._give_back(self._replace(worker))
            log.warning("killed a decoder that overran its limits (%d bytes)", len(request.data))
            raise DecodeLimitError(
                "decoding the chip takes more time or memory than a chip may take; save it anew "
                "without progressive or unusual compression"
            ) from error
        except BaseException:
            self._give_back(self._replace(worker))
            raise
        self._give_back(worker)
        if isinstance(answer, FramedChip):
            return answer
        if isinstance(answer, DecoderDefect):
            log.error("a decoder met a defect (%d bytes):\n%s", len(request.data), answer.trace)
            raise ChipError(
                "reading the chip met a defect of Crossfix, which was logged; save the chip anew, "
                "or cut it out in another way, and report the defect"
            )
        raise answer

    def all_busy_s(self) -> float:
        """Return for how many seconds no worker has been free; 0 when one is."""
        since = self._all_busy_since
        return 0.0 if since is None else self._clock() - since

    def close(self) -> None:
        """End idle workers; busy ones end with their chip.

        A worker that is being started is waited for: it would print a traceback if this process
        ended before the worker had received its arguments.
        """
        with self._lock:
            self._closed = True
        self._starter.join()
        while True:
            try:
                self._idle.get_nowait().end()
            except queue.Empty:
                return

    def _take(self) -> "_Worker":
        try:
            worker = self._idle.get(timeout=self._pool.wait_s)
        except queue.Empty:
            raise OverloadedError("too many chips are waiting to be decoded; try again") from None
        if self._closed:
            worker.end()
            raise OverloadedError("the service is stopping; try again")
        with self._lock:
            if self._idle.empty() and self._all_busy_since is None:
                self._all_busy_since = self._clock()
        return worker if worker.process.is_alive() else self._replace(worker)

    def _give_back(self, worker: "_Worker") -> None:
        with self._lock:
            self._all_busy_since = None
            if not self._closed:
                self._idle.put(worker)
                return
        worker.end()

    def _start_all(self) -> None:
        for _ in range(self._pool.workers):
            if not self._closed:
                self._give_back(self._start())

    def _start(self) -> "_Worker":
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve_decoder,
            args=(theirs, self._pool.memory_bytes),
            name="decoder",
            daemon=True,
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: "_Worker") -> "_Worker":
        worker.kill()
        return self._start()


class _OverrunError(Exception):
    """A worker did not answer in time."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: ForkServerProcess
    connection: Connection

    def ask(self, request: DecodeRequest, timeout_s: float) -> DecodeAnswer:
        self.connection.send(request)
        if not self.connection.poll(timeout_s):
            raise _OverrunError
        answer: DecodeAnswer = self.connection.recv()
        return answer

    def end(self) -> None:
        self.connection.close()
        self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.end()
