"""Bound how many request bodies may be arriving at once, without locking any caller out."""

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from service.api.transport_errors import DisplacedUploadError
from service.contract.errors import CrossfixError

METHODS_WITH_BODY = frozenset({"POST", "PATCH", "PUT"})
DISCONNECT: Message = {"type": "http.disconnect"}


class ArrivingBody:
    """The body of one request, until it is complete or gives way to another.

    To the routes, a body that was rejected looks like a client that disconnected.
    """

    def __init__(
        self, receive: Receive, caller: str, on_complete: Callable[[], CrossfixError | None]
    ) -> None:
        """Receive a body.

        Args:
            on_complete: called when all of it has arrived; an error that it returns rejects it.
        """
        self._receive = receive
        self._on_complete = on_complete
        self._complete = False
        self._timer: asyncio.Timeout | None = None
        self.caller = caller
        self.rejection: CrossfixError | None = None

    async def receive(self) -> Message:
        """Return the next message."""
        if self.rejection is not None:
            return DISCONNECT
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(None) as self._timer:
                message = await self._receive()
        except TimeoutError:
            return DISCONNECT
        finally:
            self._timer = None
        if self.rejection is None and not message.get("more_body", False):
            self._complete = True
            self.rejection = self._on_complete()
        return message if self.rejection is None else DISCONNECT

    def displace(self) -> None:
        """Reject the body now, even while its next part is awaited."""
        self.rejection = DisplacedUploadError(
            "too many uploads are arriving, so this one was stopped; send it again"
        )
        if self._timer is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())


class ArrivingBodies:
    """The bodies that are arriving. When there are too many, one is refused for the next.

    That is the oldest body of the caller that has the most, so that many slow uploads, with one
    key or without a key, do not block the uploads of others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bodies: dict[ArrivingBody, None] = {}

    def add(self, body: ArrivingBody) -> None:
        """Register a body that arrives; displace another if there are too many."""
        if len(self._bodies) >= self._most:
            [(caller, _)] = Counter(one.caller for one in self._bodies).most_common(1)
            oldest = next(one for one in self._bodies if one.caller == caller)
            self.discard(oldest)
            oldest.displace()
        self._bodies[body] = None

    def discard(self, body: ArrivingBody) -> None:
        """Forget a body that is complete, or whose request has ended."""
        self._bodies.pop(body, None)


def has_body(scope: Scope) -> bool:
    """Return whether the routes read a body of this request before they work on it."""
    headers = Headers(scope=scope)
    sent = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return sent and scope["method"] in METHODS_WITH_BODY
