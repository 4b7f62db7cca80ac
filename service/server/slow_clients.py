"""Close connections that do not send the head of a request, or do not read a response, in time.

uvicorn has neither limit: a client that sends one byte a minute ("Slowloris") could hold a
connection for ever, and so could a client that does not read, because closing a connection first
sends the rest of the response. Bodies are limited by the middleware `body_limit`.
"""

import asyncio
import itertools
import json
import logging
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.problems import PROBLEM_JSON, problem_fields

log = logging.getLogger("crossfix.connections")


MAX_HEAD_BYTES = 2**16
"""The address and headers of a request."""
TOO_LONG = 431
"""The HTTP status."""
MAX_REASON = 200
"""Characters; h11 quotes what it does not understand."""


class StrictConnection(h11.Connection):
    """Rejects requests with a head that is too long, and those that say twice how long they are.

    h11 limits only a head that is incomplete, so that its limit depends on how the bytes arrive. It
    follows `Transfer-Encoding`, as RFC 9112 says; a proxy in front may follow the other, which
    request smuggling exploits.

    Attributes:
        refusal: why the last request was rejected.
    """

    refusal: h11.RemoteProtocolError | None = None

    def next_event(self) -> Any:
        """Return the next event; raise RemoteProtocolError if the request is rejected."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check_head(event)
        except h11.RemoteProtocolError as error:
            self.refusal = error
            raise
        return event


def _check_head(request: h11.Request) -> None:
    headers = list(request.headers)
    separators = len(b": \r\n") * len(headers)
    length = len(request.target) + separators + sum(map(len, itertools.chain(*headers)))
    if length > MAX_HEAD_BYTES:
        raise h11.RemoteProtocolError("head too long", TOO_LONG)
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
        raise h11.RemoteProtocolError("Content-Length beside Transfer-Encoding")


class SlowClientProtocol(H11Protocol):
    """HTTP/1.1 with time limits for slow clients.

    Attributes:
        head_timeout_s: for the head of the next request.
        unread_timeout_s: for reading, while the write buffer is full.
    """

    head_timeout_s = 10.0
    unread_timeout_s = 300.0
    conn: StrictConnection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = StrictConnection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first request head."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Stop this timeout once a request began; restart it once the response was sent."""
        super().data_received(data)
        # The rest of a body that arrives after its response delays the next head, so it counts.
        if self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
            self._start_head_timer()
        else:
            self._stop_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timers."""
        self._stop_head_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text says no reason
        """Say why the request was rejected, and close the connection."""
        refusal = self.conn.refusal
        if refusal is not None and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(_problem(refusal)).encode()
            headers = {
                "Content-Type": PROBLEM_JSON,
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
            status = refusal.error_status_hint
            answer = h11.Response(status_code=status, headers=[*headers.items()])
            for part in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def shutdown(self) -> None:
        """Have the response under way say that the connection is closed after it."""
        if self.cycle is not None and not self.cycle.response_complete:
            # uvicorn repeats in the response what these headers say of the connection.
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]
        super().shutdown()

    def pause_writing(self) -> None:
        """Start the unread timer: the write buffer is full."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.unread_timeout_s, self._abort)

    def resume_writing(self) -> None:
        """Stop the unread timer."""
        self._stop_unread_timer()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Abort instead of closing if a response is still unread: closing would wait for it."""
        if self.transport.get_write_buffer_size():
            self._abort()
        else:
            super().timeout_keep_alive_handler()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _abort(self) -> None:
        """Close the connection and discard the unsent rest of the response."""
        log.warning("the answer was not read in time", extra={"fields": {"client": self.client}})
        self.transport.abort()


def _problem(refusal: h11.RemoteProtocolError) -> dict[str, Any]:
    status = refusal.error_status_hint
    if status == TOO_LONG:
        text = (
            f"the address and the headers of the request have more than {MAX_HEAD_BYTES} bytes; "
            "send fewer query parameters, headers or cookies"
        )
        return problem_fields(status, "head-too-large", text)
    return problem_fields(
        status, "not-http", f"the request does not follow HTTP/1.1: {str(refusal)[:MAX_REASON]}"
    )


def slow_client_protocol(head_timeout_s: float, unread_timeout_s: float) -> type[asyncio.Protocol]:
    """Return the protocol class with these time limits, in seconds."""
    limits = {"head_timeout_s": head_timeout_s, "unread_timeout_s": unread_timeout_s}
    return type("LimitedSlowClientProtocol", (SlowClientProtocol,), limits)
