"""Add the headers that make browsers handle responses safely."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.base import HttpMiddleware
from service.observability.metrics import Telemetry

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"
ONE_YEAR = "max-age=31536000"


class SecurityHeaders(HttpMiddleware):
    """Adds the security headers that a response does not set itself (OWASP Secure Headers).

    JSON is not cached, only HTML pages may load resources, and over TLS browsers are told to use
    TLS for a year.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, cross_origin: bool) -> None:
        """Wrap `app`; with `cross_origin`, pages of other origins may load responses (CORS)."""
        super().__init__(app, telemetry)
        self._resource_policy = "cross-origin" if cross_origin else "same-origin"

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope["scheme"] == "https")
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, encrypted: bool) -> None:
        media = headers.get("content-type", "")
        page = media.startswith("text/html")
        headers.setdefault("content-security-policy", PAGE_POLICY if page else DATA_POLICY)
        headers.setdefault("x-content-type-options", "nosniff")
        headers.setdefault("x-frame-options", "DENY")
        headers.setdefault("referrer-policy", "no-referrer")
        headers.setdefault("cross-origin-resource-policy", self._resource_policy)
        if "json" in media:
            headers.setdefault("cache-control", "no-store")
        if encrypted:
            headers.setdefault("strict-transport-security", ONE_YEAR)
