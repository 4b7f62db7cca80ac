"""Give each request an id, measure its duration and trace it."""

import time
import uuid

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.caller import LOCAL, Caller, called_by
from service.api.errors import METHODS
from service.observability.metrics import Telemetry
from service.observability.tracing import Tracing, Untraced

REQUEST_ID = b"x-request-id"


class RequestTelemetry:
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
