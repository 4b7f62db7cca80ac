"""`/session`: sign in to the desk with an API key, which becomes a session cookie."""

from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.access.keys import KeyStore
from service.access.roles import Principal, Role
from service.access.sessions import open_session
from service.api.chip_schemas import ResponseBody
from service.api.middleware.allowed_origins import require_same_origin
from service.api.middleware.auth import SESSION_COOKIE, identify_caller
from service.api.problems import documented
from service.api.strict_requests import strict_router
from service.api.transport_errors import UnauthenticatedError
from service.contract.utc_time import Clock

SESSION = "/session"


class SignIn(BaseModel):
    """The API key to sign in with."""

    model_config = ConfigDict(extra="forbid")

    key: SecretStr = Field(max_length=200, description="a key made by `crossfix keys create`")


class SessionOut(ResponseBody):
    """Who sends the request; `name` and `role` are null when a key is needed and missing."""

    requires_key: bool
    name: str | None
    role: Role | None
    expires_at: datetime | None = Field(description="when the new session ends; null otherwise")


def session_router(keys: KeyStore, lifetime: timedelta, now: Clock) -> APIRouter:
    """Return the routes that sign in, sign out, and tell who is signed in."""
    router = strict_router("session")

    @router.get(SESSION, responses=documented(422))
    def show_session(request: Request) -> SessionOut:
        """Tell whether a key is needed, and whose key or session the request carries."""
        ring = keys.ring()
        try:
            return _session_of(identify_caller(request, ring, now()), ring.requires_key)
        except UnauthenticatedError:
            return _session_of(None, ring.requires_key)

    @router.post(SESSION, responses=documented(401, 403, 413, 415, 422))
    def sign_in(body: SignIn, request: Request, response: Response) -> SessionOut:
        """Exchange an API key for a session cookie, which ends with the key at the latest.

        The cookie is HttpOnly and SameSite=Strict. Requests that change something and carry the
        cookie must come from a page of this service.
        """
        require_same_origin(request.headers)
        ring = keys.ring()
        opened = open_session(ring, body.key.get_secret_value().strip(), now(), lifetime)
        if opened is None:
            raise UnauthenticatedError("the key is unknown, revoked or expired")
        principal, token, expires_at = opened
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=int(lifetime.total_seconds()),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return _session_of(principal, ring.requires_key, expires_at)

    @router.delete(SESSION, status_code=204, responses=documented(403, 422))
    def sign_out(request: Request, response: Response) -> None:
        """Remove the session cookie from the browser."""
        require_same_origin(request.headers)
        response.delete_cookie(
            SESSION_COOKIE, secure=request.url.scheme == "https", httponly=True, samesite="strict"
        )

    return router


def _session_of(
    principal: Principal | None, requires_key: bool, expires_at: datetime | None = None
) -> SessionOut:
    return SessionOut(
        requires_key=requires_key,
        name=principal.name if principal else None,
        role=principal.role if principal else None,
        expires_at=expires_at,
    )
