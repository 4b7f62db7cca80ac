"""Give each request an id and a retry budget, measure its duration and trace it."""

import time
import uuid

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.caller import LOCAL, Caller, called_by
from service.api.errors import METHODS
from service.api.middleware.base import HttpMiddleware
from service.identity.retry_budget import one_retry_budget
from service.observability.metrics import Telemetry
from service.observability.tracing import Tracing

REQUEST_ID = b"x-request-id"


class RequestTelemetry(HttpMiddleware):
    """Gives each request an id, returned as `X-Request-ID`, measures its duration, traces it."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, untraced_paths: frozenset[str]) -> None:
        super().__init__(app, telemetry)
        self._untraced_paths = untraced_paths

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        request_id = _accepted_id(request.headers.get("x-request-id")) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (REQUEST_ID, request_id.encode()),
                ]
            await send(message)

        # Clients may invent any number of methods, and each label costs memory.
        method = scope["method"] if scope["method"] in METHODS else "other"
        with (
            called_by(lambda: _caller(scope)),
            one_retry_budget(),
            self._tracing(scope).request(method, request_id, _traceparent(request)) as trace,
        ):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                route: str | None = getattr(scope.get("route"), "path", None)
                self._telemetry.requests.labels(method, route or "unknown", str(status)).observe(
                    time.perf_counter() - started
                )
                trace.record_response(route, status)

    def _tracing(self, scope: Scope) -> Tracing:
        return Tracing() if scope["path"] in self._untraced_paths else self._telemetry.tracing


def _traceparent(request: Request) -> str | None:
    """Return the client's `traceparent`; None if it sent several (W3C Trace Context, 3.2)."""
    values = request.headers.getlist("traceparent")
    return values[0] if len(values) == 1 else None


def _caller(scope: Scope) -> Caller:
    """Return the caller as far as it is known by now; `local` until a key was accepted."""
    state = scope["state"]
    principal = state.get("principal")
    has_key = getattr(principal, "key_id", None) is not None
    return Caller(str(principal.name) if has_key else LOCAL, state["request_id"])


def _accepted_id(text: str | None) -> str | None:
    """Return a client's request id if it is 1 to 64 ASCII letters, digits, `-` and `_`."""
    if text and len(text) <= 64 and text.replace("-", "").replace("_", "").isalnum():
        return text if text.isascii() else None
    return None
