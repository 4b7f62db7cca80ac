"""The base of all middleware, and what it knows of a request."""

from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.roles import Principal
from service.api.errors import error_response
from service.contract.errors import CrossfixError
from service.observability.metrics import Telemetry


class HttpMiddleware(ABC):
    """ASGI middleware that handles HTTP requests and passes every other scope on (lifespan)."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        """Wrap `app`; `telemetry` counts the rejected requests."""
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI scope; answer a request that is rejected with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._handle(scope, receive, send)
        except CrossfixError as error:
            await error_response(error, self._telemetry, scope["path"])(scope, receive, send)

    @abstractmethod
    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request; raise CrossfixError to reject it before a response begins."""


def principal_of(scope: Scope) -> Principal | None:
    """Return the caller that `Authentication` accepted; None on the open paths."""
    principal: Principal | None = scope.get("state", {}).get("principal")
    return principal


def caller_of(scope: Scope) -> str:
    """Return the key of the caller; without one its address."""
    principal = principal_of(scope)
    if principal is not None and principal.key_id is not None:
        return f"key:{principal.key_id}"
    return f"address:{scope['client'][0]}" if scope.get("client") else "address:unknown"
