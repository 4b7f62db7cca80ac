"""Pass requests to the bundle that is served; no request is dropped when the bundle changes."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.auth import READ_METHODS
from service.contract.bundle import Bundle
from service.identity.ports.gallery import Gallery
from service.inference.batcher import BatchedEmbedder


@dataclass(frozen=True)
class BundleResources:
    """The models of one bundle and its part of the gallery, which must be closed."""

    bundle: Bundle
    embedder: BatchedEmbedder
    device: str
    precision: str
    gallery: Gallery

    def close(self) -> None:
        """Stop the models and close the gallery."""
        self.embedder.close()
        self.gallery.close()


@dataclass
class ServedBundle:
    """One bundle with the routes that it answers.

    Attributes:
        resources: the models and the gallery; closed when the bundle is no longer served.
        settle: finishes or undoes interrupted changes and judgements in this bundle's part of the
            gallery; returns their number.
        ask_again: compares open sightings with some of the chips that vessels got since, or else
            with each other, until its argument says to stop; returns how many were compared.
        announce: sends new matches to the webhook, until its argument says to stop; None without
            a webhook.
        requests_under_way: counted by `ActiveBundle`.
    """

    resources: BundleResources
    settle: Callable[[], int]
    routes: ASGIApp
    ask_again: Callable[[Callable[[], bool]], int] = lambda _: 0
    announce: Callable[[Callable[[], bool]], None] | None = None
    requests_under_way: int = 0

    @property
    def bundle_id(self) -> str:
        """The id of the bundle."""
        return self.resources.bundle.bundle_id


class ActiveBundle:
    """The bundle that is served now. Safe to use from many threads."""

    def __init__(self, first: ServedBundle) -> None:
        self._current = first
        self._changed = threading.Condition()
        self._last_post = -math.inf
        self._posts = 0

    @property
    def current(self) -> ServedBundle:
        """The bundle that is served now; it may be closed at any time, see `in_use`."""
        return self._current

    @contextmanager
    def in_use(self) -> Iterator[ServedBundle]:
        """Yield the current bundle, which stays open within the block."""
        with self._changed:
            served = self._current
            served.requests_under_way += 1
        try:
            yield served
        finally:
            with self._changed:
                served.requests_under_way -= 1
                self._changed.notify_all()

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Count a request that does more than read, within the block."""
        with self._changed:
            self._posts += 1
        try:
            yield
        finally:
            with self._changed:
                self._posts -= 1
                self._last_post = time.monotonic()

    def quiet_s(self) -> float:
        """Return for how long there was no request but those that read; infinite if never."""
        with self._changed:
            return 0.0 if self._posts else time.monotonic() - self._last_post

    def switch_to(self, new: ServedBundle) -> ServedBundle:
        """Serve `new` from now on; return the former bundle when no request uses it any more."""
        with self._changed:
            former, self._current = self._current, new
            self._changed.wait_for(lambda: former.requests_under_way == 0)
        return former


class ActiveBundleRoutes:
    """The innermost middleware: passes HTTP requests to the routes of the active bundle."""

    def __init__(self, app: ASGIApp, active: ActiveBundle) -> None:
        self._app = app
        self._active = active

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reads = scope["method"] in READ_METHODS
        with self._active.in_use() as served, nullcontext() if reads else self._active.posting():
            await served.routes(scope, receive, send)
