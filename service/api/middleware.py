"""What happens around every request: id, size limit, duration."""

import asyncio
import time
import uuid

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.closing import ClosingBoundary
from service.api.errors import METHODS, refusal
from service.contract.errors import CrossfixError
from service.identity.caller import LOCAL, Caller, called_by
from service.identity.errors import BodyTooLargeError, InvalidRequestError, SlowUploadError
from service.telemetry import Telemetry
from service.tracing import Tracing, Untraced

REQUEST_ID = b"x-request-id"


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
        closing = ClosingBoundary.of(headers)
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
        closing: ClosingBoundary | None,
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


class Observed:
    """Gives each request an id, returned as `X-Request-ID`, measures its duration, traces it."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, untraced: frozenset[str]) -> None:
        """Wrap `app`; requests to the paths `untraced` leave no trace."""
        self._app = app
        self._telemetry = telemetry
        self._untraced = untraced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _accepted_id(Request(scope).headers.get("x-request-id")) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        began = time.perf_counter()

        async def labelled_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (REQUEST_ID, request_id.encode()),
                ]
            await send(message)

        method = _known_method(scope["method"])
        with (
            called_by(lambda: _caller(scope)),
            self._tracing(scope).request(method, request_id, _parent(scope)) as trace,
        ):
            try:
                await self._app(scope, receive, labelled_send)
            finally:
                route: str | None = getattr(scope.get("route"), "path", None)
                self._telemetry.requests.labels(method, route or "unknown", str(status)).observe(
                    time.perf_counter() - began
                )
                trace.answered(route, status)

    def _tracing(self, scope: Scope) -> Tracing:
        return Untraced() if scope["path"] in self._untraced else self._telemetry.tracing


def _parent(scope: Scope) -> str | None:
    """The sender's `traceparent`; of several, none counts (W3C Trace Context, 3.2)."""
    sent = Request(scope).headers.getlist("traceparent")
    return sent[0] if len(sent) == 1 else None


def _known_method(method: str) -> str:
    """The method as a label; senders may invent any number of others."""
    return method if method in METHODS else "other"


def _caller(scope: Scope) -> Caller:
    """Who asks, as far as it is known by now: who shows no key is `local`."""
    state = scope["state"]
    principal = state.get("principal")
    known = getattr(principal, "key_id", None) is not None
    return Caller(str(principal.name) if known else LOCAL, state["request_id"])


def _accepted_id(text: str | None) -> str | None:
    """A sender's request id if it is short and harmless."""
    if text and len(text) <= 64 and text.replace("-", "").replace("_", "").isalnum():
        return text if text.isascii() else None
    return None
