"""Who may come in: keys and the role that each request needs."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.keys import KeyBook
from service.access.roles import ANYBODY, Principal, Role
from service.api.errors import refusal
from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.transport_errors import ForbiddenError, UnauthenticatedError
from service.contract.errors import CrossfixError
from service.observability.metrics import Telemetry

log = logging.getLogger("crossfix.access")

READING = frozenset({"GET", "HEAD", "OPTIONS"})
QUESTIONS = frozenset({"/match", "/verify"})

# Only the OpenAPI document reads these; `Authenticated` decides before a route is looked for.
SECURITY: list[Dependency] = [
    Depends(HTTPBearer(auto_error=False, description="a key made by `crossfix keys create`")),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="the same key")),
]


def needed_role(method: str, path: str) -> Role:
    """Readers read and ask; everything else, known or not, changes the gallery."""
    return Role.READER if method in READING or path in QUESTIONS else Role.CURATOR


def shown_key(headers: Headers) -> str | None:
    """The key of `Authorization: Bearer` or `X-API-Key`; None when neither is there.

    Raises:
        UnauthenticatedError: another scheme than Bearer.
    """
    authorization = headers.get("authorization")
    if authorization is None:
        return headers.get("x-api-key")
    scheme, _, key = authorization.partition(" ")
    if scheme.casefold() != "bearer":
        raise UnauthenticatedError("only keys are taken: send Authorization: Bearer <key>")
    return key.strip()


class Authenticated:
    """Lets a request in when its key allows it, before anything of its body is read.

    Once a key was made, every path but the open ones needs one. Who asks is then
    `request.state.principal`.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyBook,
        open_paths: frozenset[str],
        neighbours: AllowedOrigins,
        telemetry: Telemetry,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Guard `app`.

        Args:
            keys: the keys that count.
            open_paths: what anybody may ask, for probes.
            neighbours: which web pages may ask while no key is needed.
            telemetry: counts what is refused.
            now: the present, UTC.
        """
        self._app = app
        self._keys = keys
        self._open_paths = open_paths
        self._neighbours = neighbours
        self._telemetry = telemetry
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        try:
            principal = self._admit(Request(scope))
        except CrossfixError as error:
            self._note(scope, error)
            await refusal(error, self._telemetry, scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            UnauthenticatedError: a key is needed, and none that opens anything was shown.
            ForbiddenError: the key's role does not allow this, or a foreign web page asks.
        """
        ring = self._keys.ring()
        if not ring.asks:
            self._neighbours.check(request.headers)
            return ANYBODY
        key = shown_key(request.headers)
        if key is None:
            raise UnauthenticatedError("a key is needed: send Authorization: Bearer <key>")
        principal = ring.identify(key, self._now())
        if principal is None:
            raise UnauthenticatedError("the key is unknown, revoked or expired")
        needed = needed_role(request.method, request.url.path)
        if not principal.role.covers(needed):
            raise ForbiddenError(
                f"this needs the role {needed}; the key {principal.name!r} is a {principal.role}'s"
            )
        return principal

    def _note(self, scope: Scope, error: CrossfixError) -> None:
        client = scope["client"][0] if scope.get("client") else None
        fields = {"kind": error.kind, "path": scope["path"], "client": client}
        fields["request_id"] = scope.get("state", {}).get("request_id")
        log.warning("refused: %s", error, extra={"fields": fields})
