"""Embeddings of a server that were compared with their digests a moment ago.

An answer shows no vessel on the evidence of a damaged embedding. The embeddings that it will
probably show are read together with the records of a search, so that the answer need not wait for
them.
"""

import math
import threading
import time
from collections.abc import Collection
from uuid import UUID

from service.identity.errors import StoreDamagedError
from service.storage.points.record_digests import VECTOR_DIGEST, require_intact_vector
from service.storage.server.collection import ServerCollection

INTACT_FOR_S = 5.0
MOST_KEPT = 10_000


class CheckedEmbeddings:
    """Knows for a few seconds which embeddings were intact. Safe to use from many threads."""

    def __init__(self, sightings: ServerCollection) -> None:
        self._sightings = sightings
        self._lock = threading.Lock()
        self._intact_at: dict[UUID, float] = {}

    def prefetch(self, ids: Collection[UUID]) -> None:
        """Compare embeddings with their digests and note the intact ones; report no damage yet."""
        for sighting_id, error in self._compare(ids).items():
            if error is None:
                self._note(sighting_id)

    def require_intact(self, ids: Collection[UUID]) -> None:
        """Raise StoreDamagedError if an embedding is not what was written."""
        now = time.monotonic()
        with self._lock:
            known = {i for i in ids if now - self._intact_at.get(i, -math.inf) < INTACT_FOR_S}
        for sighting_id, error in self._compare(set(ids) - known).items():
            if error is not None:
                raise error
            self._note(sighting_id)

    def _compare(self, ids: Collection[UUID]) -> dict[UUID, StoreDamagedError | None]:
        found: dict[UUID, StoreDamagedError | None] = {}
        for sighting_id, (vector, row) in self._sightings.fetch_with_vectors(
            ids, [VECTOR_DIGEST]
        ).items():
            try:
                require_intact_vector(vector, row)
                found[sighting_id] = None
            except StoreDamagedError as error:
                found[sighting_id] = error
        return found

    def _note(self, sighting_id: UUID) -> None:
        with self._lock:
            if len(self._intact_at) >= MOST_KEPT:
                self._intact_at.clear()
            self._intact_at[sighting_id] = time.monotonic()
