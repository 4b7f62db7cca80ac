"""Authenticate requests by API key and check the role that each request requires."""

import logging
from datetime import datetime

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.keys import KeyRing, KeyStore
from service.access.roles import ANONYMOUS, Principal, Role
from service.access.sessions import identify_session
from service.api.middleware.allowed_origins import AllowedOrigins, require_same_origin
from service.api.middleware.base import HttpMiddleware
from service.api.transport_errors import ForbiddenError, UnauthenticatedError
from service.contract.errors import CrossfixError
from service.contract.utc_time import utc_now
from service.observability.metrics import Telemetry

log = logging.getLogger("crossfix.access")

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READ_ONLY_POSTS = frozenset({"/match", "/match/scene", "/verify"})
SESSION_COOKIE = "crossfix_session"

# Only the OpenAPI document reads these; `Authentication` decides before routes are matched.
SECURITY: list[Dependency] = [
    Depends(HTTPBearer(auto_error=False, description="a key made by `crossfix keys create`")),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="the same key")),
    Depends(APIKeyCookie(name=SESSION_COOKIE, auto_error=False, description="see `POST /session`")),
]


def required_role(method: str, path: str) -> Role:
    """Return reader for reading, matching and verifying; curator for all else."""
    reads = method in READ_METHODS or path in READ_ONLY_POSTS
    return Role.READER if reads else Role.CURATOR


def sent_key(headers: Headers) -> str | None:
    """Return the key of `Authorization: Bearer` or `X-API-Key`; None when neither was sent.

    Raises:
        UnauthenticatedError: the scheme is not Bearer.
    """
    # A header that stands twice is joined (RFC 9110, 5.3), and thus never a key.
    authorization = ", ".join(headers.getlist("authorization"))
    if not authorization:
        return ", ".join(headers.getlist("x-api-key")) or None
    scheme, _, key = authorization.partition(" ")
    if scheme.casefold() != "bearer":
        raise UnauthenticatedError("only keys are accepted: send Authorization: Bearer <key>")
    return key.strip()


def identify_caller(request: Request, ring: KeyRing, now: datetime) -> Principal:
    """Return the caller by the key or the session cookie that a request carries.

    Raises:
        UnauthenticatedError: a key is required and no valid key or session was sent.
    """
    if not ring.requires_key:
        return ANONYMOUS
    key = sent_key(request.headers)
    if key is not None:
        principal = ring.identify(key, now)
        if principal is None:
            raise UnauthenticatedError("the key is unknown, revoked or expired")
        return principal
    token = request.cookies.get(SESSION_COOKIE)
    if token is None:
        raise UnauthenticatedError("a key is needed: send Authorization: Bearer <key>")
    principal = identify_session(ring, token, now)
    if principal is None:
        raise UnauthenticatedError("the session has ended, or its key was revoked; sign in again")
    return principal


class Authentication(HttpMiddleware):
    """Admits a request if its key allows it, before its body is read.

    Once a key has been made, every path but the open ones requires a key. The caller is stored as
    `request.state.principal`.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyStore,
        open_paths: frozenset[str],
        allowed_origins: AllowedOrigins,
        telemetry: Telemetry,
    ) -> None:
        """Wrap `app`.

        Args:
            open_paths: paths that never require a key, for probes.
            allowed_origins: web pages that may send requests while no key is required.
        """
        super().__init__(app, telemetry)
        self._keys = keys
        self._open_paths = open_paths
        self._allowed_origins = allowed_origins

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in self._open_paths:
            try:
                principal = self._authenticate(Request(scope))
            except CrossfixError as error:
                _log_rejection(scope, error)
                raise
            scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    def _authenticate(self, request: Request) -> Principal:
        """Return the caller."""
        ring = self._keys.ring()
        principal = identify_caller(request, ring, utc_now())
        if not ring.requires_key:
            self._allowed_origins.check(request.headers)
            return principal
        if sent_key(request.headers) is None and request.method not in READ_METHODS:
            require_same_origin(request.headers)
        role = required_role(request.method, request.url.path)
        if not principal.role.covers(role):
            raise ForbiddenError(
                f"this needs the role {role}; the key {principal.name!r} has the role "
                f"{principal.role}"
            )
        return principal


def _log_rejection(scope: Scope, error: CrossfixError) -> None:
    client = scope["client"][0] if scope.get("client") else None
    fields = {"kind": error.kind, "path": scope["path"], "client": client}
    fields["request_id"] = scope.get("state", {}).get("request_id")
    log.warning("refused: %s", error, extra={"fields": fields})
