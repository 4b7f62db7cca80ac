"""Requests that can be read twice, and responses that can be given again."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import IO

from python_multipart.multipart import parse_options_header
from starlette.requests import Request
from starlette.types import Message, Receive, Send

from service.access.idempotency import StoredResponse

CHUNK_BYTES = 65_536
BLOCKING_BYTES = 1_000_000


class RecordedBody:
    """A request body, kept in a file while its fingerprint is taken."""

    def __init__(self, request: Request, file: IO[bytes]) -> None:
        """Nothing is read yet; `file` should keep small bodies in memory, as a spooled one does."""
        self._file = file
        self._digest = RequestDigest(request)
        self._size = 0

    @property
    def fingerprint(self) -> str:
        """Equal for requests that say the same."""
        return self._digest.hexdigest()

    async def record(self, receive: Receive) -> bool:
        """Read it to its end; False when the sender leaves before."""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return False
            chunk, more = message.get("body", b""), message.get("more_body", False)
            self._digest.update(chunk)
            self._size += len(chunk)
            if self._size > BLOCKING_BYTES:
                await asyncio.to_thread(self._file.write, chunk)
            else:
                self._file.write(chunk)
        self._file.seek(0)
        return True

    def replay(self, receive: Receive) -> Receive:
        """What gives the body once more, and then whatever else the sender does."""
        left = self._size
        given = False

        async def again() -> Message:
            nonlocal left, given
            if given:
                return await receive()
            if self._size > BLOCKING_BYTES:
                chunk = await asyncio.to_thread(self._file.read, CHUNK_BYTES)
            else:
                chunk = self._file.read(CHUNK_BYTES)
            left -= len(chunk)
            given = left <= 0
            return {"type": "http.request", "body": chunk, "more_body": not given}

        return again


class RequestDigest:
    """SHA-256 of method, path, query, media type and body, however the body arrives in pieces.

    The boundary of a multipart body is left out: senders draw a new one each time they send.
    """

    def __init__(self, request: Request) -> None:
        media, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        self._mark = b"--" + boundary if boundary else None
        self._tail = b""
        self._hash = hashlib.sha256()
        method, path = request.method.encode(), request.url.path.encode()
        for part in (method, path, request.scope["query_string"], media):
            self._hash.update(len(part).to_bytes(8) + part)

    def update(self, chunk: bytes) -> None:
        if self._mark is None:
            self._hash.update(chunk)
            return
        *whole, rest = (self._tail + chunk).split(self._mark)
        for piece in whole:
            self._hash.update(piece + b"--")
        # The end of the rest may be the beginning of a boundary.
        keep = min(len(rest), len(self._mark) - 1)
        self._tail = rest[len(rest) - keep :]
        self._hash.update(rest[: len(rest) - keep])

    def hexdigest(self) -> str:
        """Of what has been given so far."""
        whole = self._hash.copy()
        whole.update(self._tail)
        return whole.hexdigest()


class RecordedAnswer:
    """Holds a successful response back until it is kept, and passes others on as they come."""

    def __init__(
        self, send: Send, most_bytes: int, keep: Callable[[StoredResponse], Awaitable[None]]
    ) -> None:
        """Send through this object's `send`.

        Args:
            send: where the response goes.
            most_bytes: a larger body is not kept, only that there was one.
            keep: called once with a complete success, before its end is sent.
        """
        self._send = send
        self._most_bytes = most_bytes
        self._keep = keep
        self._held: list[Message] = []
        self._head: Message | None = None
        self._body: bytes | None = b""
        self.kept = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and 200 <= message["status"] < 300:
            self._head = message
        if self._head is None:
            await self._send(message)
            return
        self._held.append(message)
        if message["type"] == "http.response.body":
            await self._take(self._head, message)

    async def _take(self, head: Message, message: Message) -> None:
        if self._body is not None:
            body = self._body + message.get("body", b"")
            self._body = body if len(body) <= self._most_bytes else None
        complete = not message.get("more_body", False)
        if complete:
            headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in head["headers"])
            await self._keep(StoredResponse(head["status"], headers, self._body))
            self.kept = True
        if complete or self._body is None:
            for one in self._held:
                await self._send(one)
            self._held.clear()


async def give_again(answer: StoredResponse, body: bytes, send: Send) -> None:
    """Send a kept answer, marked as such."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
