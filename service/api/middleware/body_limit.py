"""Reject request bodies that are compressed, too large, too slow or cut off."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.base import HttpMiddleware
from service.api.middleware.multipart_end import MultipartEnd
from service.api.transport_errors import BodyTooLargeError, MediaTypeError, SlowUploadError
from service.contract.errors import CrossfixError
from service.identity.errors import InvalidRequestError
from service.observability.metrics import Telemetry

MAX_BYTES_WITHOUT_FILES = 250_000
"""Of a body that is no form with files. JSON is read as a whole, between the other requests: 60 MB
of it would take gigabytes, and all requests would wait for minutes."""


class BodyLimit(HttpMiddleware):
    """Rejects bodies: packed with 415, too large with 413, too slow with 408, cut off with 422."""

    def __init__(
        self, app: ASGIApp, max_bytes: int, timeout_s: float, telemetry: Telemetry
    ) -> None:
        """Wrap `app`; the whole body must arrive within `timeout_s`."""
        super().__init__(app, telemetry)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Request(scope).headers
        form_end = MultipartEnd.of(headers)
        max_bytes = self._max_bytes
        if form_end is None:
            max_bytes = min(max_bytes, MAX_BYTES_WITHOUT_FILES)
        body = _LimitedReceive(receive, max_bytes, self._timeout_s, form_end)
        response_started = False

        async def send_unless_rejected(message: Message) -> None:
            nonlocal response_started
            if body.rejection is not None and not response_started:
                return
            response_started = True
            await send(message)

        encoding = headers.get("content-encoding", "identity")
        announced = headers.get("content-length", "0")
        if encoding.strip().casefold() not in ("", "identity"):
            body.rejection = MediaTypeError(
                f"the body is sent with Content-Encoding: {encoding[:40]}; send it unpacked"
            )
        elif announced.isdigit() and int(announced) > max_bytes:
            body.rejection = body.too_large()
        else:
            try:
                await self._app(scope, body, send_unless_rejected)
            except Exception:
                # A rejected body looks to the route like a client that disconnected.
                if body.rejection is None:
                    raise
        if body.rejection is not None and not response_started:
            raise body.rejection


class _LimitedReceive:
    """Passes chunks on until a limit is exceeded, then reports that the client disconnected."""

    def __init__(
        self, receive: Receive, max_bytes: int, timeout_s: float, form_end: MultipartEnd | None
    ) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._remaining_bytes = max_bytes
        self._timeout_s = timeout_s
        self._form_end = form_end
        self._deadline: float | None = asyncio.get_running_loop().time() + timeout_s
        self.rejection: CrossfixError | None = None

    async def __call__(self) -> Message:
        if self.rejection is not None:
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.rejection = SlowUploadError(
                f"the request did not arrive within {self._timeout_s:g} s; send fewer chips at "
                "once, or over a faster line"
            )
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._check(message.get("body", b""), last=not message.get("more_body", False))
        return message if self.rejection is None else {"type": "http.disconnect"}

    def _check(self, chunk: bytes, last: bool) -> None:
        self._remaining_bytes -= len(chunk)
        if self._form_end is not None:
            self._form_end.search(chunk)
        if last:
            self._deadline = None
        if self._remaining_bytes < 0:
            self.rejection = self.too_large()
        elif last and self._form_end is not None and self._form_end.missing:
            self.rejection = InvalidRequestError(
                f"the form breaks off: it does not end with {self._form_end.delimiter[:100]!r}; "
                "the upload was cut on its way, send it again"
            )

    def too_large(self) -> BodyTooLargeError:
        what, instead = "request", "send fewer or smaller chips"
        if self._form_end is None:
            what, instead = "body without files", "send less, and files as multipart/form-data"
        return BodyTooLargeError(
            f"the {what} is larger than {self._max_bytes / 1e6:g} MB; {instead}"
        )
