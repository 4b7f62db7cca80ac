"""How often, how many at once, and how long: limits on requests that were let in."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.rate_limits import RateLimiter
from service.access.roles import Principal
from service.api.errors import refusal
from service.api.transport_errors import RateLimitedError, TookTooLongError
from service.contract.errors import OverloadedError
from service.observability.metrics import Telemetry

log = logging.getLogger("crossfix.limits")


class RateLimited:
    """Refuses requests beyond a caller's rate with 429.

    A caller is a key; where no key is needed, an address if `by_address`, else nobody is limited.
    """

    def __init__(
        self, app: ASGIApp, limiter: RateLimiter, by_address: bool, telemetry: Telemetry
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._by_address = by_address
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = self._caller(scope)
        wait_s = 0.0
        if caller is not None:
            # A limiter may ask Redis; routes use another pool of threads, which may all be busy.
            wait_s = await asyncio.to_thread(self._limiter.take, caller)
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        error = RateLimitedError(
            f"more requests than agreed; the next one is granted in {wait_s:.1f} s", wait_s
        )
        await refusal(error, self._telemetry, scope["path"])(scope, receive, send)

    def _caller(self, scope: Scope) -> str | None:
        """Whose request it is; None when it is not limited, as those of probes."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None:
            return None
        if principal.key_id is not None:
            return f"key:{principal.key_id}"
        if self._by_address and scope.get("client"):
            return f"address:{scope['client'][0]}"
        return None


class InFlight:
    """Answers at most so many requests at once, each within a time.

    Beyond the number is 429, beyond the time 503. Work in a thread cannot be interrupted: it goes
    on after its 503 and holds its place until it ends. A sender who does not read the answer
    within the time again is dropped. Probes and scrapes are always let through.
    """

    def __init__(
        self,
        app: ASGIApp,
        most: int,
        timeout_s: float,
        exempt: frozenset[str],
        telemetry: Telemetry,
    ) -> None:
        self._app = app
        self._most = most
        self._timeout_s = timeout_s
        self._exempt = exempt
        self._telemetry = telemetry
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        if len(self._running) >= self._most:
            error = OverloadedError(f"{self._most} requests are being answered; ask again shortly")
            await refusal(error, self._telemetry, scope["path"])(scope, receive, send)
            return
        outlet = _Outlet(send)
        task = asyncio.create_task(self._run(scope, receive, outlet))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await self._answer_in_time(task, outlet, scope, receive, send)
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _run(self, scope: Scope, receive: Receive, outlet: "_Outlet") -> None:
        """Answer; a failure after the 503 can only be logged."""
        try:
            await self._app(scope, receive, outlet.send)
        except Exception:
            if not outlet.shut:
                raise
            log.exception("failed after its time was over", extra=_about(scope))

    async def _answer_in_time(
        self,
        task: "asyncio.Task[None]",
        outlet: "_Outlet",
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
        if not done and outlet.started:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
            if not done:
                log.warning("the answer was not read in time", extra=_about(scope))
                task.cancel()
                await asyncio.wait({task})
                return
        if done:
            task.result()
            return
        outlet.shut = True
        error = TookTooLongError(
            f"no answer within {self._timeout_s:g} s; what was asked may still be done, and "
            "asking again changes nothing that is done already"
        )
        await refusal(error, self._telemetry, scope["path"])(scope, receive, send)


class _Outlet:
    """Passes a response on until it is shut."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.shut = False

    async def send(self, message: Message) -> None:
        if self.shut:
            return
        self.started = True
        await self._send(message)


def _about(scope: Scope) -> dict[str, dict[str, object]]:
    return {
        "fields": {"path": scope["path"], "request_id": scope.get("state", {}).get("request_id")}
    }
