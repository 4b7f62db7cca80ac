"""Reject request bodies that are too large, too slow or cut off."""

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import refusal
from service.api.middleware.multipart_end import MultipartEnd
from service.api.transport_errors import BodyTooLargeError, SlowUploadError
from service.contract.errors import CrossfixError
from service.identity.errors import InvalidRequestError
from service.observability.metrics import Telemetry


class BodyLimit:
    """Refuses bodies beyond a size, announced or not, with 413, slow ones with 408, cut forms."""

    def __init__(
        self, app: ASGIApp, max_bytes: int, timeout_s: float, telemetry: Telemetry
    ) -> None:
        """Wrap `app`; `timeout_s` is how long a whole body may take to arrive."""
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        closing = MultipartEnd.of(headers)
        body = _LimitedReceive(receive, self._max_bytes, self._timeout_s, closing)
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(body.too_large(), scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if body.refused is not None and not started:
                return
            started = True
            await send(message)

        try:
            await self._app(scope, body, watched_send)
        except Exception:
            if body.refused is None:
                raise
        if body.refused is not None and not started:
            await self._refuse(body.refused, scope, receive, send)

    async def _refuse(
        self, error: CrossfixError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        await refusal(error, self._telemetry, scope["path"])(scope, receive, send)


class _LimitedReceive:
    """Passes body chunks on until a limit is crossed, then pretends the client left."""

    def __init__(
        self,
        receive: Receive,
        max_bytes: int,
        timeout_s: float,
        closing: MultipartEnd | None,
    ) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._timeout_s = timeout_s
        self._closing = closing
        self._deadline: float | None = asyncio.get_running_loop().time() + timeout_s
        self.refused: CrossfixError | None = None

    async def __call__(self) -> Message:
        if self.refused is not None:
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.refused = SlowUploadError(
                f"the request did not arrive within {self._timeout_s:g} s; send fewer chips at "
                "once, or over a faster line"
            )
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._take(message.get("body", b""), last=not message.get("more_body", False))
        return message if self.refused is None else {"type": "http.disconnect"}

    def _take(self, chunk: bytes, last: bool) -> None:
        self._left -= len(chunk)
        if self._closing is not None:
            self._closing.pass_by(chunk)
        if last:
            self._deadline = None
        if self._left < 0:
            self.refused = self.too_large()
        elif last and self._closing is not None and self._closing.missing:
            self.refused = InvalidRequestError(
                f"the form breaks off: it does not end with {self._closing.mark[:100]!r}; "
                "the upload was cut on its way, send it again"
            )

    def too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(
            f"the request is larger than {self._max_bytes / 1e6:g} MB; send fewer or smaller chips"
        )
