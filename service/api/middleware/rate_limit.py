"""Limit how many requests a caller may send in a time."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.rate_limits import RateLimiter
from service.api.middleware.base import HttpMiddleware, caller_of, principal_of
from service.api.transport_errors import RateLimitedError
from service.observability.metrics import Telemetry


class RateLimit(HttpMiddleware):
    """Rejects requests beyond a caller's rate with 429.

    A caller is a key. While no key is required it is an address if `by_address` is set;
    otherwise there is no limit.
    """

    def __init__(
        self, app: ASGIApp, limiter: RateLimiter, by_address: bool, telemetry: Telemetry
    ) -> None:
        super().__init__(app, telemetry)
        self._limiter = limiter
        self._by_address = by_address

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (caller := self._caller(scope)) is not None:
            # A limiter may call Redis; the routes' own pool of threads may be all busy.
            wait_s = await asyncio.to_thread(self._limiter.take, caller)
            if wait_s > 0:
                raise RateLimitedError(
                    f"more requests than the limit allows; send the next one in {wait_s:.1f} s",
                    wait_s,
                )
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> str | None:
        """Return the caller that the request counts for; None for requests without a limit."""
        principal = principal_of(scope)
        if principal is None:
            return None
        by_address = self._by_address and scope.get("client")
        return caller_of(scope) if principal.key_id is not None or by_address else None
