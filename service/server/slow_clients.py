"""Closing connections whose next request does not begin in time, or whose answer is not read.

uvicorn waits for the head of a request for ever; a sender of one byte a minute ("Slowloris") would
hold a connection as long as it likes. It also waits for ever until an answer was taken: closing a
connection first sends what is left. Bodies have a time limit of their own.
"""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("crossfix.connections")


class SlowClientProtocol(H11Protocol):
    """HTTP/1.1 that gives up on a request head after `head_timeout_s`, on a reader after
    `unread_timeout_s`.
    """

    head_timeout_s = 10.0
    unread_timeout_s = 300.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A body that still arrives after its answer was sent is only in the way of the next head.
        if self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
            self._await_head()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.unread_timeout_s, self._give_up)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self._give_up()
        else:
            super().timeout_keep_alive_handler()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_read(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _give_up(self) -> None:
        """Drop the connection and what was still to be sent."""
        log.warning("the answer was not read in time", extra={"fields": {"client": self.client}})
        self.transport.abort()


def slow_client_protocol(head_timeout_s: float, unread_timeout_s: float) -> type[asyncio.Protocol]:
    """The protocol with these time limits, in seconds."""
    limits = {"head_timeout_s": head_timeout_s, "unread_timeout_s": unread_timeout_s}
    return type("Prompt", (SlowClientProtocol,), limits)
