"""Limit how many requests are handled at once, and how long each may take."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.middleware.arriving_bodies import ArrivingBodies, ArrivingBody, has_body
from service.api.middleware.base import HttpMiddleware, caller_of
from service.api.transport_errors import RequestTimeoutError
from service.contract.errors import CrossfixError, OverloadedError
from service.observability.metrics import Telemetry

log = logging.getLogger("crossfix.limits")


class InFlightLimit(HttpMiddleware):
    """Rejects requests beyond the in-flight limit with 429, and ends late ones with 503.

    A request counts as in flight once its body has arrived, so that half-sent requests block
    nobody; as many bodies may be arriving as requests may be in flight, see `ArrivingBodies`. Work
    in a thread cannot be interrupted: it continues after its 503 and counts until it ends. A client
    that does not read the response within another `timeout_s` is disconnected. Requests to the
    paths `exempt` (probes, metrics) are neither counted nor timed.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_in_flight: int,
        timeout_s: float,
        exempt: frozenset[str],
        telemetry: Telemetry,
    ) -> None:
        super().__init__(app, telemetry)
        self._max_in_flight = max_in_flight
        self._timeout_s = timeout_s
        self._exempt = exempt
        self._running: set[asyncio.Task[None]] = set()
        self._arriving = ArrivingBodies(max_in_flight)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        if (overload := self._overload()) is not None:
            raise overload
        response = _ClosableSend(send)
        task = self._start(scope, receive, response)
        try:
            if not await self._finished_in_time(task, response, scope):
                response.closed = True
                raise RequestTimeoutError(
                    f"no answer within {self._timeout_s:g} s; what was asked may still be done, "
                    "and asking again changes nothing that is done already"
                )
            if response.rejection is not None and not response.started:
                raise response.rejection
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _overload(self) -> OverloadedError | None:
        """Return the error of one more request in flight; None while there is room."""
        if len(self._running) < self._max_in_flight:
            return None
        return OverloadedError(
            f"{self._max_in_flight} requests are being answered; try again shortly"
        )

    def _start(
        self, scope: Scope, receive: Receive, response: "_ClosableSend"
    ) -> "asyncio.Task[None]":
        """Start to handle a request; it counts as in flight at once, or once its body arrived."""
        if not has_body(scope):
            task = asyncio.create_task(self._run(scope, receive, response))
            self._count(task)
            return task

        def on_complete() -> CrossfixError | None:
            self._arriving.discard(body)
            if (overload := self._overload()) is None:
                self._count(task)
            return overload

        body = response.body = ArrivingBody(receive, caller_of(scope), on_complete)
        self._arriving.add(body)
        task = asyncio.create_task(self._run(scope, body.receive, response))
        task.add_done_callback(lambda _: self._arriving.discard(body))
        return task

    def _count(self, task: "asyncio.Task[None]") -> None:
        """Count the request as in flight until it ends."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, scope: Scope, receive: Receive, response: "_ClosableSend") -> None:
        """Handle the request; log a failure after the 503, since no client can be told."""
        try:
            await self._app(scope, receive, response.send)
        except Exception:
            if response.rejection is not None:
                return  # the disconnection that a rejected body looks like
            if not response.closed:
                raise
            log.exception("failed after its time was over", extra=_log_fields(scope))

    async def _finished_in_time(
        self, task: "asyncio.Task[None]", response: "_ClosableSend", scope: Scope
    ) -> bool:
        """Wait for the task; False when its time is over and no response was started."""
        done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
        if not done and response.started:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
            if not done:
                log.warning("the answer was not read in time", extra=_log_fields(scope))
                task.cancel()
                await asyncio.wait({task})
                return True
        if done:
            task.result()
        return bool(done)


class _ClosableSend:
    """Sends a response until it is closed, or the body of its request was rejected."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.closed = False
        self.body: ArrivingBody | None = None

    @property
    def rejection(self) -> CrossfixError | None:
        """Why the body of the request was rejected; None when it was not."""
        return None if self.body is None else self.body.rejection

    async def send(self, message: Message) -> None:
        if self.closed or (self.rejection is not None and not self.started):
            return
        self.started = True
        await self._send(message)


def _log_fields(scope: Scope) -> dict[str, dict[str, object]]:
    return {
        "fields": {"path": scope["path"], "request_id": scope.get("state", {}).get("request_id")}
    }
