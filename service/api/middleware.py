"""What happens around every request: id, size limit, duration."""

import time
import uuid

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import problem
from service.telemetry import Telemetry

REQUEST_ID = b"x-request-id"


class BodyLimit:
    """Refuses request bodies beyond a size, announced or not, with 413."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Request(scope).headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        counted = _CountedReceive(receive, self._max_bytes)
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if counted.exceeded and not started:
                return
            started = True
            await send(message)

        try:
            await self._app(scope, counted, watched_send)
        except Exception:
            if not counted.exceeded:
                raise
        if counted.exceeded and not started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(
            413,
            "body-too-large",
            f"the request is larger than {self._max_bytes / 1e6:g} MB; send fewer or smaller chips",
            {"Connection": "close"},
        )
        await response(scope, receive, send)


class _CountedReceive:
    """Passes body chunks on until they exceed the limit, then pretends the client left."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._left = max_bytes
        self.exceeded = False

    async def __call__(self) -> Message:
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.exceeded = True
                return {"type": "http.disconnect"}
        return message


class Observed:
    """Gives each request an id, returned as `X-Request-ID`, and measures its duration."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

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
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        try:
            await self._app(scope, receive, labelled_send)
        finally:
            route = scope.get("route")
            self._telemetry.requests.labels(
                scope["method"], getattr(route, "path", "unknown"), str(status)
            ).observe(time.perf_counter() - began)


def _accepted_id(text: str | None) -> str | None:
    """A sender's request id if it is short and harmless."""
    if text and len(text) <= 64 and text.replace("-", "").replace("_", "").isalnum():
        return text if text.isascii() else None
    return None
