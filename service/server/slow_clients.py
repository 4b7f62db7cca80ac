"""Close connections that do not send the head of a request, or do not read a response, in time.

uvicorn has neither limit: a client that sends one byte a minute ("Slowloris") could hold a
connection for ever, and so could a client that does not read, because closing a connection first
sends the rest of the response. Bodies are limited by the middleware `body_limit`.
"""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("crossfix.connections")


class StrictConnection(h11.Connection):
    """Rejects requests that say twice how long they are, as request smuggling does.

    h11 follows `Transfer-Encoding`, as RFC 9112 says; a proxy in front may follow the other.
    """

    def next_event(self) -> Any:
        """Return the next event, or raise RemoteProtocolError, which is answered with 400."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            if {b"content-length", b"transfer-encoding"} <= names:
                raise h11.RemoteProtocolError("Content-Length beside Transfer-Encoding")
        return event


class SlowClientProtocol(H11Protocol):
    """HTTP/1.1 with time limits for slow clients.

    Attributes:
        head_timeout_s: for the head of the next request.
        unread_timeout_s: for reading, while the write buffer is full.
    """

    head_timeout_s = 10.0
    unread_timeout_s = 300.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = StrictConnection(h11.SERVER)
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


def slow_client_protocol(head_timeout_s: float, unread_timeout_s: float) -> type[asyncio.Protocol]:
    """Return the protocol class with these time limits, in seconds."""
    limits = {"head_timeout_s": head_timeout_s, "unread_timeout_s": unread_timeout_s}
    return type("LimitedSlowClientProtocol", (SlowClientProtocol,), limits)
