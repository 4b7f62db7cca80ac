"""The client for threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from service.client import DEFAULT_URL
from service.client.errors import ClientError, RefusedError, SourceError, StoppedError
from service.client.files import written_whole
from service.client.remote import calls, retrying
from service.client.remote.call import Call, ChipSource
from service.client.remote.enrolling import BatchAttempts, ChipToEnrol, Enrolled, batches
from service.client.remote.methods import Methods
from service.client.remote.models import Match, Page

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Matched:
    """A chip of a batch with its match, or the reason why it has none."""

    chip: ChipSource
    match: Match | None
    problem: ClientError | None


class Client(Methods):
    """Client of one service; may be shared by threads.

    Requests that meet 429 or 503 are repeated after the time given in `Retry-After`, until
    `patience_s` is spent; requests whose connection broke are repeated three times. Repeating is
    safe: the service derives ids from content, and judgements, merges and splits carry an
    idempotency key. Every request may raise RefusedError, UnreachableError or StoppedError, and
    SourceError if a chip file cannot be read. Lists are iterators that read a page at a time.

    Attributes:
        url: address of the service, without a password.
        stopping: when set, waiting ends with StoppedError.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        patience_s: float = retrying.PATIENCE_S,
        stopping: threading.Event | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = retrying.checked_url(url)
        self.url = retrying.without_password(url)
        self.stopping = stopping or threading.Event()
        self._patience_s = patience_s
        self._http = httpx.Client(**retrying.connection_options(url, api_key), transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def require_alive(self) -> None:
        """Check that a Crossfix service answers.

        Raises:
            UnreachableError: none does; without repeating.
        """
        try:
            response = self._http.get("/livez")
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise retrying.unreachable(self.url, error) from error
        retrying.require_crossfix(self.url, response)

    def is_ready(self) -> bool:
        """Whether the service is ready; False while it does not answer, or another program does."""
        try:
            return retrying.says_ready(self._http.get("/readyz"))
        except httpx.RequestError:
            return False

    def send(self, call: Call[T]) -> T:
        """Send a request; repeat it while the service is overloaded or the connection breaks."""
        return self._send(call, self.stopping)

    def send_described(self, describe: Callable[[], Call[T]]) -> T:
        """Send the request that a function describes."""
        return self.send(describe())

    def save(self, call: Call[bytes], path: Path) -> int:
        """Stream a response into a file, which appears when it is complete; return its size.

        Raises:
            SourceError: the file cannot be written.
        """
        with written_whole(path) as temporary:
            return self._receive(call, partial(_write, temporary), self.stopping)

    def _send(self, call: Call[T], ended: threading.Event) -> T:
        """Send a request, see `send`; do not repeat it when `ended` is set."""

        def read(response: httpx.Response) -> T:
            response.read()
            return call.read(response)

        return self._receive(call, read, ended)

    def _receive(
        self, call: Call[Any], read: Callable[[httpx.Response], R], ended: threading.Event
    ) -> R:
        """Send a request, and repeat it, until `read` has read its response."""
        attempts, request = retrying.Attempts(self.url, self._patience_s), call.request()
        while True:
            if self.stopping.is_set() or ended.is_set():
                raise StoppedError("stopped before the service had answered")
            try:
                with self._http.stream(**request) as response:
                    if response.is_success:
                        call.require_media(response)
                        return read(response)
                    response.read()
            except httpx.RequestError as error:
                wait_s = attempts.wait_after_loss(error)
            else:
                wait_s = attempts.wait_after_refusal(response)
            self.stopping.wait(wait_s)

    def items(self, listing: Call[Page[T]]) -> Iterator[T]:
        """Iterate over a list, reading a page at a time."""
        cursor: str | None = None
        while True:
            page = self.send(listing.after(cursor))
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def match_many(
        self,
        chips: Iterable[ChipSource],
        *,
        workers: int = 4,
        advance: Callable[[int], object] = lambda _: None,
        **options: Any,
    ) -> Iterator[Matched]:
        """Match chips, several at once; yield one result for each chip in their order.

        Args:
            chips: in memory, or paths.
            advance: called with 1 after each chip, e.g. the `update` of a progress bar.
            options: see `match`; they apply to every chip.

        Raises:
            UnreachableError, StoppedError: the rest was not sent.
        """
        waiting: deque[Future[Matched]] = deque()
        ended = threading.Event()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="match")
        try:
            for chip in chips:
                waiting.append(pool.submit(partial(self._matched, chip, options, ended)))
                if len(waiting) >= 2 * workers:
                    yield _finished(waiting.popleft(), advance)
            while waiting:
                yield _finished(waiting.popleft(), advance)
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def enrol_many(self, chips: Iterable[ChipToEnrol]) -> Iterator[Enrolled]:
        """Enrol chips of any number of vessels; yield what became of each as it is stored.

        They are sent in requests of many chips. Chips that an overloaded service refused are sent
        again, as are those that a response which broke off did not name.

        Raises:
            RefusedError: the service takes none of them, e.g. because the key is no curator's.
            UnreachableError, StoppedError: what was yielded is enrolled, the rest may be.
        """
        for batch in batches(chips):
            yield from self._enrol_batch(batch)

    def _enrol_batch(self, chips: Sequence[ChipToEnrol]) -> Iterator[Enrolled]:
        batch = BatchAttempts(chips, self.url, self._patience_s)
        while batch.left:
            if self.stopping.is_set():
                raise StoppedError("stopped before the service had answered")
            try:
                with self._http.stream(**batch.request()) as response:
                    if response.is_success:
                        for line in response.iter_lines():
                            yield from batch.read(line)
                        wait_s = batch.wait_after_feed()
                    else:
                        response.read()
                        wait_s = batch.attempts.wait_after_refusal(response)
            except httpx.RequestError as error:
                wait_s = batch.attempts.wait_after_loss(error)
            except RefusedError as error:
                if not (halves := batch.halves(error)):
                    yield from (Enrolled(one, None, error) for one in batch.left.values())
                for half in halves:
                    yield from self._enrol_batch(half)
                return
            self.stopping.wait(wait_s)

    def _matched(
        self, chip: ChipSource, options: dict[str, Any], ended: threading.Event
    ) -> Matched:
        try:
            return Matched(chip, self._send(calls.match(chip, **options), ended), None)
        except (RefusedError, SourceError) as error:
            return Matched(chip, None, error)


def _write(path: Path, response: httpx.Response) -> int:
    with path.open("wb") as file:
        return sum(file.write(chunk) for chunk in response.iter_bytes())


def _finished(future: "Future[Matched]", advance: Callable[[int], object]) -> Matched:
    result = future.result()
    advance(1)
    return result
