"""Which bundle answers: requests go to the present one, and none is dropped when it changes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from service.contract.bundle import Bundle
from service.identity.ports.gallery import Gallery
from service.inference.batcher import BatchedEmbedder


@dataclass(frozen=True)
class Models:
    """What belongs to one bundle and must be closed: its models and its part of the gallery."""

    bundle: Bundle
    embedder: BatchedEmbedder
    device: str
    gallery: Gallery

    def close(self) -> None:
        self.embedder.close()
        self.gallery.close()


@dataclass
class ServedBundle:
    """One bundle with the routes that it answers.

    Attributes:
        models: what has to be closed afterwards.
        settle: finishes or undoes interrupted changes and judgements, with this bundle's part of
            the gallery; returns how many there were.
        routes: answers requests with these models alone.
        busy: requests under way; the switchboard counts them.
    """

    models: Models
    settle: Callable[[], int]
    routes: ASGIApp
    busy: int = field(default=0)

    @property
    def bundle_id(self) -> str:
        return self.models.bundle.bundle_id


class ActiveBundle:
    """Hands requests to the bundle that is served. Safe for threads."""

    def __init__(self, first: ServedBundle) -> None:
        self._present = first
        self._changed = threading.Condition()

    @property
    def present(self) -> ServedBundle:
        return self._present

    @contextmanager
    def connected(self) -> Iterator[ServedBundle]:
        """The present bundle, which stays open until this is left."""
        with self._changed:
            served = self._present
            served.busy += 1
        try:
            yield served
        finally:
            with self._changed:
                served.busy -= 1
                self._changed.notify_all()

    def move_to(self, following: ServedBundle) -> ServedBundle:
        """Answer with `following` from now on; returns the former one when it is idle."""
        with self._changed:
            former, self._present = self._present, following
            self._changed.wait_for(lambda: former.busy == 0)
        return former


class ActiveBundleRoutes:
    """The end of the way of every request: not this application's routes, but the bundle's."""

    def __init__(self, app: ASGIApp, board: ActiveBundle) -> None:
        self._app = app
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._board.connected() as served:
            await served.routes(scope, receive, send)
