"""Record request bodies and responses, and replay them."""

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
"""Bodies beyond this size are written to disk, hence by a thread of their own."""


class RecordedBody:
    """A request body, written to a file while its fingerprint is computed."""

    def __init__(self, request: Request, file: IO[bytes]) -> None:
        """Prepare to record; `file` should keep up to `BLOCKING_BYTES` in memory."""
        self._file = file
        self._digest = RequestDigest(request)
        self._size = 0

    @property
    def fingerprint(self) -> str:
        """The digest of the request recorded so far; see `RequestDigest`."""
        return self._digest.hexdigest()

    async def record(self, receive: Receive) -> bool:
        """Read the body to its end; return False if the client disconnects before."""
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
        """Return a callable that yields the recorded body, then what `receive` yields."""
        remaining = self._size
        finished = False

        async def receive_recorded() -> Message:
            nonlocal remaining, finished
            if finished:
                return await receive()
            if self._size > BLOCKING_BYTES:
                chunk = await asyncio.to_thread(self._file.read, CHUNK_BYTES)
            else:
                chunk = self._file.read(CHUNK_BYTES)
            remaining -= len(chunk)
            finished = remaining <= 0
            return {"type": "http.request", "body": chunk, "more_body": not finished}

        return receive_recorded


class RequestDigest:
    """SHA-256 of method, path, query, media type and body, independent of how it is chunked.

    The boundary of a multipart body is left out: clients draw a new one each time they send.
    """

    def __init__(self, request: Request) -> None:
        media, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        self._delimiter = b"--" + boundary if boundary else None
        self._tail = b""
        self._hash = hashlib.sha256()
        method, path = request.method.encode(), request.url.path.encode()
        for part in (method, path, request.scope["query_string"], media):
            self._hash.update(len(part).to_bytes(8) + part)

    def update(self, chunk: bytes) -> None:
        """Add the next chunk of the body."""
        if self._delimiter is None:
            self._hash.update(chunk)
            return
        *parts, rest = (self._tail + chunk).split(self._delimiter)
        for part in parts:
            self._hash.update(part + b"--")
        # The end of the rest may be the beginning of a delimiter that spans two chunks.
        tail_start = len(rest) - min(len(rest), len(self._delimiter) - 1)
        self._tail = rest[tail_start:]
        self._hash.update(rest[:tail_start])

    def hexdigest(self) -> str:
        """Return the digest of the request added so far, hexadecimal."""
        digest = self._hash.copy()
        digest.update(self._tail)
        return digest.hexdigest()


class RecordedResponse:
    """Holds a successful response back until it is stored; passes other responses on."""

    def __init__(
        self, send: Send, max_bytes: int, store: Callable[[StoredResponse], Awaitable[None]]
    ) -> None:
        """Record the response that is sent through the method `send`.

        Args:
            max_bytes: the body of a larger response is not stored.
            store: called once with a complete success, before its last part is sent.
        """
        self._send = send
        self._max_bytes = max_bytes
        self._store = store
        self._held: list[Message] = []
        self._start: Message | None = None
        self._body: bytes | None = b""
        self.stored = False

    async def send(self, message: Message) -> None:
        """Send an ASGI message of the response, or hold it back."""
        if message["type"] == "http.response.start" and 200 <= message["status"] < 300:
            self._start = message
        if self._start is None:
            await self._send(message)
            return
        self._held.append(message)
        if message["type"] == "http.response.body":
            await self._record(self._start, message)

    async def _record(self, start: Message, message: Message) -> None:
        if self._body is not None:
            body = self._body + message.get("body", b"")
            self._body = body if len(body) <= self._max_bytes else None
        complete = not message.get("more_body", False)
        if complete:
            headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in start["headers"])
            await self._store(StoredResponse(start["status"], headers, self._body))
            self.stored = True
        if complete or self._body is None:
            for held in self._held:
                await self._send(held)
            self._held.clear()


async def send_stored(response: StoredResponse, body: bytes, send: Send) -> None:
    """Send a stored response again, marked by the header `Idempotency-Replayed`."""
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
