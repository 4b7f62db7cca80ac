"""Closing connections whose next request does not begin in time.

uvicorn waits for the head of a request for ever; a sender of one byte a minute ("Slowloris") would
hold a connection as long as it likes. Bodies have a time limit of their own.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class PromptH11Protocol(H11Protocol):
    """HTTP/1.1 that gives up on a request head after `head_timeout_s`."""

    head_timeout_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

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
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def prompt_protocol(head_timeout_s: float) -> type[asyncio.Protocol]:
    """The protocol with this time limit, in seconds."""
    return type("Prompt", (PromptH11Protocol,), {"head_timeout_s": head_timeout_s})
