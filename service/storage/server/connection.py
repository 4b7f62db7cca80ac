"""The connection to a Qdrant server: prepared on first use, its calls repeated, errors translated.

Every call that this package makes may be repeated: reads, inserts and deletions by id, changes of
fields, and conditional writes whose effect is read back. A call that fails because a node is away
is therefore made again, after a random pause and over another connection.
"""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from qdrant_client import QdrantClient

from service.identity.errors import StoreUnavailableError
from service.storage.server.failures import CLIENT_ERRORS, may_pass, translated
from service.storage.server.repeating import Attempts, CallWatch

DEFAULT_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
"""A machine that is off does not refuse a connection; a reachable one accepts it at once."""

LINKS_TO_ONE_ADDRESS = 3
"""Connections to a balancer, each of which stays with the node that it was given."""

READS_AT_ONCE = 16
KEPT_CONNECTIONS = 32
KEEP_S = 60.0

T = TypeVar("T")


def connect(url: str, api_key: str | None, timeout_s: float) -> QdrantClient:
    """Return a client that has not sent a request yet.

    The key is passed as a header: for `api_key` the client would warn of `http`, which is the
    operator's choice, and `warnings.catch_warnings` is not safe between threads.
    """
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=KEPT_CONNECTIONS, keepalive_expiry=KEEP_S
    )
    return QdrantClient(
        url=url,
        headers={} if api_key is None else {"api-key": api_key},
        timeout=max(1, round(timeout_s)),
        check_compatibility=False,
        limits=limits,
        event_hooks={"request": [_connect_quickly]},
    )


@dataclass(frozen=True, slots=True)
class Link:
    """A Qdrant client, and the address of the node that it calls."""

    client: QdrantClient
    address: str


class ServerConnection:
    """A connection to a Qdrant server, for one store. Safe to call from many threads."""

    def __init__(
        self,
        server: QdrantClient | str | Sequence[str],
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        watch: CallWatch | None = None,
    ) -> None:
        """Send nothing yet.

        Args:
            server: the server's address or those of its nodes, or a client to use as it is.
            timeout_s: seconds after which one attempt counts as unanswered.
            watch: of the calls of this process; None: of this connection's alone.
        """
        self._timeout_s = timeout_s
        self._watch = watch or CallWatch()
        self._pool: ThreadPoolExecutor | None = None
        if isinstance(server, QdrantClient):
            self._links = [Link(server, "the given client")]
        else:
            self._pool = ThreadPoolExecutor(READS_AT_ONCE, "qdrant")
            urls = [server] if isinstance(server, str) else list(server)
            urls *= LINKS_TO_ONE_ADDRESS if len(urls) == 1 else 1
            self._links = [Link(connect(url, api_key, timeout_s), url) for url in urls]
        self._current = random.randrange(len(self._links))
        self._prepare: Callable[[QdrantClient], None] | None = None
        self._preparing = threading.Lock()
        self._closed = False

    def on_first_use(self, prepare: Callable[[QdrantClient], None]) -> None:
        """Call `prepare`, which creates what is missing on the server, before the first request.

        Several threads and replicas may call it at the same time; a failure is tried again.
        """
        self._prepare = prepare

    def call(self, operation: Callable[[QdrantClient], T], needs_most: bool = False) -> T:
        """Return what `operation` returns for a client, with the server prepared.

        The operation is repeated while the failure may pass, see `Attempts.failed`.

        Args:
            needs_most: whether most copies of a shard must take part.

        Raises:
            StoreUnavailableError: the server does not answer or refuses, or this was closed.
            StoreFullError: the disk of the server is full.
        """
        attempts = Attempts(self._watch, needs_most, self._timeout_s, len(self._links))
        while True:
            if self._closed:
                raise StoreUnavailableError(
                    f"the connection to {self._links[0].address} was closed"
                )
            place = self._current
            link = self._links[place]
            try:
                self._ensure_prepared(link.client)
                result = operation(link.client)
            except CLIENT_ERRORS as error:
                pause_s = attempts.failed() if may_pass(error) else None
                if pause_s is None:
                    raise translated(error, link.address) from error
            else:
                attempts.succeeded()
                return result
            if self._current == place:
                self._current = (place + 1) % len(self._links)
            attempts.pause(pause_s)

    def gather(self, *reads: Callable[[], Any]) -> list[Any]:
        """Return what each function returns, called at the same time if the client allows it."""
        if self._pool is None:
            return [read() for read in reads]
        *others, first = reads
        running = [self._pool.submit(copy_context().run, read) for read in others]
        last = first()
        return [*(one.result() for one in running), last]

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if not self._closed:
            self._closed = True
            if self._pool is not None:
                self._pool.shutdown()
            for link in self._links:
                link.client.close()

    def _ensure_prepared(self, client: QdrantClient) -> None:
        if self._prepare is not None:
            with self._preparing:
                if self._prepare is not None:
                    self._prepare(client)
                    self._prepare = None


def _connect_quickly(request: httpx.Request) -> None:
    timeouts = request.extensions.get("timeout")
    if timeouts and (timeouts.get("connect") or CONNECT_TIMEOUT_S) > CONNECT_TIMEOUT_S:
        request.extensions["timeout"] = {**timeouts, "connect": CONNECT_TIMEOUT_S}
