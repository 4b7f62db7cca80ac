"""The client for asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

import httpx

from service.client import DEFAULT_URL
from service.client.errors import RefusedError, SourceError
from service.client.remote import retrying
from service.client.remote.call import Call, ChipSource
from service.client.remote.client import Matched
from service.client.remote.enrolling import BatchAttempts, ChipToEnrol, Enrolled, batches
from service.client.remote.methods import Methods
from service.client.remote.models import Page

T = TypeVar("T")


class AsyncClient(Methods):
    """Client of one service for one event loop; see `Client`, whose methods it has as coroutines.

    Attributes:
        url: address of the service, without a password.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        patience_s: float = retrying.PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        url = retrying.checked_url(url)
        self.url = retrying.without_password(url)
        self._patience_s = patience_s
        self._http = httpx.AsyncClient(
            **retrying.connection_options(url, api_key), transport=transport
        )

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def require_alive(self) -> None:
        """Check that a Crossfix service answers, see `Client.require_alive`."""
        try:
            response = await self._http.get("/livez")
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise retrying.unreachable(self.url, error) from error
        retrying.require_crossfix(self.url, response)

    async def is_ready(self) -> bool:
        """Whether the service is ready; False while it does not answer, or another program does."""
        try:
            return retrying.says_ready(await self._http.get("/readyz"))
        except httpx.RequestError:
            return False

    async def send(self, call: Call[T]) -> T:
        """Send a request; repeat it while the service is overloaded or the connection breaks."""
        attempts, request = retrying.Attempts(self.url, self._patience_s), call.request()
        while True:
            try:
                response = await self._http.request(**request)
            except httpx.RequestError as error:
                wait_s = attempts.wait_after_loss(error)
            else:
                if response.is_success:
                    call.require_media(response)
                    return call.read(response)
                wait_s = attempts.wait_after_refusal(response)
            await asyncio.sleep(wait_s)

    async def send_described(self, describe: Callable[[], Call[T]]) -> T:
        """Send the request that a function describes."""
        return await self.send(describe())

    async def items(self, listing: Call[Page[T]]) -> AsyncIterator[T]:
        """Iterate over a list, reading a page at a time."""
        cursor: str | None = None
        while True:
            page = await self.send(listing.after(cursor))
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def match_many(
        self,
        chips: Iterable[ChipSource],
        *,
        workers: int = 4,
        advance: Callable[[int], object] = lambda _: None,
        **options: Any,
    ) -> AsyncIterator[Matched]:
        """Match chips, several at once, in their order; see `Client.match_many`."""
        waiting: deque[asyncio.Task[Matched]] = deque()
        try:
            for chip in chips:
                waiting.append(asyncio.create_task(self._matched(chip, options)))
                if len(waiting) >= workers:
                    yield await _finished(waiting.popleft(), advance)
            while waiting:
                yield await _finished(waiting.popleft(), advance)
        finally:
            for task in waiting:
                task.cancel()

    async def enrol_many(self, chips: Iterable[ChipToEnrol]) -> AsyncIterator[Enrolled]:
        """Enrol chips of any number of vessels; see `Client.enrol_many`."""
        for batch in batches(chips):
            async for result in self._enrol_batch(batch):
                yield result

    async def _enrol_batch(self, chips: Sequence[ChipToEnrol]) -> AsyncIterator[Enrolled]:
        batch = BatchAttempts(chips, self.url, self._patience_s)
        while batch.left:
            try:
                async with self._http.stream(**batch.request()) as response:
                    if response.is_success:
                        async for line in response.aiter_lines():
                            for result in batch.read(line):
                                yield result
                        wait_s = batch.wait_after_feed()
                    else:
                        await response.aread()
                        wait_s = batch.attempts.wait_after_refusal(response)
            except httpx.RequestError as error:
                wait_s = batch.attempts.wait_after_loss(error)
            except RefusedError as error:
                if not (halves := batch.halves(error)):
                    for one in batch.left.values():
                        yield Enrolled(one, None, error)
                for half in halves:
                    async for result in self._enrol_batch(half):
                        yield result
                return
            await asyncio.sleep(wait_s)

    async def _matched(self, chip: ChipSource, options: dict[str, Any]) -> Matched:
        try:
            return Matched(chip, await self.match(chip, **options), None)
        except (RefusedError, SourceError) as error:
            return Matched(chip, None, error)


async def _finished(task: "asyncio.Task[Matched]", advance: Callable[[int], object]) -> Matched:
    result = await task
    advance(1)
    return result
