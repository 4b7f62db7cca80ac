"""The open sightings as a table, for searches: 17 bytes of memory and an embedding on disk each."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Modality
from service.storage.edge.tables.bounded_search import Mask, Numbers, Similarities, similar_rows
from service.storage.edge.tables.rows import (
    IDS,
    BeforeMove,
    EmbeddedFacts,
    Rows,
    ignore_moves,
    largest,
)
from service.storage.edge.tables.sketched_vectors import SketchedVectors
from service.storage.edge.tables.vector_file import Arrays
from service.storage.points import payloads

FIELDS = [payloads.MODALITY, payloads.UNCOMPARED]
"""The fields of a payload that are kept."""

KINDS = "kinds"
MODALITIES = [one.value for one in Modality]
COMPARED = 128
"""Added to the number of the modality in the column `kinds`."""


class OpenTable:
    """The sightings without a vessel. For one thread at a time."""

    def __init__(
        self,
        path: Path,
        width: int,
        saved: Arrays | None = None,
        before_move: BeforeMove = ignore_moves,
    ) -> None:
        """Start empty, or with what was saved; see `SketchedVectors` and `Rows`."""
        count = 0 if saved is None else len(saved[IDS])
        self._vectors = SketchedVectors(path, width, count, saved)
        self._rows = Rows(self._vectors, saved, before_move, kinds="u1")

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return copies of all but the embeddings, from which the table can be opened."""
        return {**self._rows.columns(), **self._vectors.axes()}

    def check(self) -> None:
        """Raise ValueError if an embedding is not what was put."""
        self._rows.check()

    def sync(self) -> None:
        """Bring all embeddings to disk; raise OSError if the disk refuses."""
        self._vectors.sync()

    def put(self, sightings: Sequence[EmbeddedFacts], new: bool = False) -> None:
        """Insert or replace open sightings, and drop those that have a vessel.

        Args:
            sightings: id, D numbers, and a payload with at least `FIELDS`.
            new: none of them is in the table, and none is there twice.
        """
        if not new:
            self.delete([i for i, _, row in sightings if row.get(payloads.VESSEL_ID)])
        waiting = [one for one in sightings if not one[2].get(payloads.VESSEL_ID)]
        if waiting:
            ids, vectors, rows = zip(*waiting, strict=True)
            self._rows.put(ids, vectors, {KINDS: [_kind(row) for row in rows]}, new)

    def mark_compared(self, ids: Collection[UUID], compared: bool) -> None:
        """Note whether sightings were compared with the others; absent ids are ignored."""
        rows = [*self._rows.find(ids).values()]
        kinds = self._rows[KINDS]
        kinds[rows] = kinds[rows] % COMPARED + COMPARED * compared

    def delete(self, ids: Collection[UUID]) -> None:
        """Delete sightings; absent ids are ignored."""
        self._rows.delete(ids)

    def make_room(self, more: int) -> None:
        """Make room for more sightings, so that no later `put` of them fails."""
        self._rows.make_room(more)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def nearest(
        self, query: NDArray[np.float32], modality: Modality, limit: int, compared: bool
    ) -> dict[UUID, float]:
        """Return the most similar sightings of a sensor type, best first, with similarities.

        Args:
            query: float32 `[D]`, unit length.
            compared: leave out those that have not been compared with the others.
        """
        if not len(self):
            return {}
        sensor = MODALITIES.index(modality.value)
        kinds = self._rows[KINDS]

        def passes(rows: Numbers | slice) -> Mask:
            found = kinds[rows]
            mask: Mask = found % COMPARED == sensor
            return mask & (found >= COMPARED) if compared else mask

        [bounds] = self._vectors.bounds(query[None], len(self))
        similarities = Similarities(self._vectors, query, bounds)
        rows = similar_rows(similarities, passes, np.arange(len(self)), limit)
        values = similarities.of(rows)
        best = largest(values, limit)
        ids = (UUID(bytes=one) for one in self._rows.ids(rows[best]))
        return dict(zip(ids, values[best].tolist(), strict=True))


def _kind(row: Mapping[str, Any]) -> int:
    modality = MODALITIES.index(row[payloads.MODALITY])
    return modality + COMPARED * (row.get(payloads.UNCOMPARED) != payloads.OPEN)
