"""Headers that have browsers take no liberties with what is answered."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING_BUT_DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"
ONE_YEAR = "max-age=31536000"


class SecurityHeaders:
    """Adds what a response does not say itself (OWASP Secure Headers).

    JSON is not stored; only HTML pages may load anything; over TLS browsers are to stay with it.
    """

    def __init__(self, app: ASGIApp, shared: bool) -> None:
        """Wrap `app`; `shared`: pages of other origins may load what is answered (CORS)."""
        self._app = app
        self._embedding = "cross-origin" if shared else "same-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._guard(MutableHeaders(scope=message), scope["scheme"] == "https")
            await send(message)

        await self._app(scope, receive, guarded_send)

    def _guard(self, headers: MutableHeaders, encrypted: bool) -> None:
        media = headers.get("content-type", "")
        page = media.startswith("text/html")
        headers.setdefault("content-security-policy", PAGE if page else NOTHING_BUT_DATA)
        headers.setdefault("x-content-type-options", "nosniff")
        headers.setdefault("x-frame-options", "DENY")
        headers.setdefault("referrer-policy", "no-referrer")
        headers.setdefault("cross-origin-resource-policy", self._embedding)
        if "json" in media:
            headers.setdefault("cache-control", "no-store")
        if encrypted:
            headers.setdefault("strict-transport-security", ONE_YEAR)
