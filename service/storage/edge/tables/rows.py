"""Rows of sightings for searches: an id, an embedding and some facts of each, without gaps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from service.storage.edge.tables.vector_file import Arrays, VectorFile, checksums

ID = 16
"""Bytes of an id. Ids are bytes here, because Python compares UUIDs by functions of their own."""

EmbeddedFacts = tuple[UUID, ArrayLike, Mapping[str, Any]]
"""The id of a sighting, D numbers, and a payload."""

IDS, CHECKSUMS = "ids", "checksums"
"""Columns of every table: the id, and the checksum of the embedding."""

FIRST_ROWS = 1024

BeforeMove = Callable[[bytes], None]
"""Gets the id of a sighting before its row is moved."""


def ignore_moves(sighting: bytes) -> None:
    """Do nothing before a row is moved."""


class Rows:
    """A table in columns. Facts are in memory, embeddings in a file. For one thread at a time.

    Ids are found by going through their column: an index would take more memory than all facts.
    """

    def __init__(
        self, vectors: VectorFile, saved: Arrays | None, before_move: BeforeMove, **facts: DTypeLike
    ) -> None:
        """Start empty, or with what was saved.

        Args:
            saved: what `columns` returned. Rows that were put, deleted or moved since must be
                deleted first, and then the others checked.
            facts: the numpy types of the columns.

        Raises:
            ValueError, KeyError: `saved` is of another table.
        """
        self._vectors = vectors
        self._before_move = before_move
        kinds = {IDS: "2u8", CHECKSUMS: "u4", **facts}
        empty = {name: np.zeros(FIRST_ROWS, kind) for name, kind in kinds.items()}
        self._columns: dict[str, NDArray[Any]] = empty
        self._count = 0
        if saved is not None:
            self._columns = {name: saved[name] for name in empty}
            self._count = len(saved[IDS])
            for name, column in self._columns.items():
                expected = (self._count, *empty[name].shape[1:])
                if column.dtype != empty[name].dtype or column.shape != expected:
                    raise ValueError(f"the column {name} is of another table")

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return copies of all columns."""
        return {name: self[name].copy() for name in self._columns}

    def check(self) -> None:
        """Compare all embeddings with their checksums; raise ValueError if one differs."""
        if not np.array_equal(self._vectors.checksums(self._count), self[CHECKSUMS]):
            raise ValueError("embeddings do not match their checksums")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column, `[rows, …]`, which may be changed."""
        return self._columns[name][: self._count]

    def ids(self, rows: NDArray[np.intp]) -> list[bytes]:
        """Return the ids of rows."""
        joined = self[IDS][rows].tobytes()
        return [joined[at : at + ID] for at in range(0, len(joined), ID)]

    def find(self, ids: Collection[UUID]) -> dict[bytes, int]:
        """Return the rows of those of `ids` that exist."""
        if not ids:
            return {}
        sought = np.frombuffer(b"".join(one.bytes for one in ids), np.uint64)[::2]
        rows = np.flatnonzero(np.isin(self[IDS][:, 0], sought))
        found = dict(zip(self.ids(rows), rows.tolist(), strict=True))
        return {key: found[key] for one in ids if (key := one.bytes) in found}

    def make_room(self, more: int) -> None:
        """Make room for more rows, so that no later `put` of them fails.

        Raises:
            StoreFullError, StoreUnavailableError: nothing was changed.
        """
        needed = self._count + more
        self._vectors.make_room(needed)
        while needed > len(self._columns[IDS]):
            for name, column in self._columns.items():
                more_rows = max(FIRST_ROWS, len(column) // 2)
                empty = np.zeros((more_rows, *column.shape[1:]), column.dtype)
                self._columns[name] = np.concatenate([column, empty])

    def put(
        self,
        ids: Sequence[UUID],
        vectors: Sequence[ArrayLike],
        facts: Mapping[str, ArrayLike],
        new: bool = False,
    ) -> None:
        """Insert or replace rows.

        Args:
            ids: K ids.
            vectors: K embeddings of D numbers.
            facts: K values for each column.
            new: no row has one of these ids, and none is there twice.
        """
        self.make_room(len(ids))
        places = {} if new else self.find(ids)
        count = self._count
        for one in ids:
            if one.bytes not in places:
                places[one.bytes] = count
                count += 1
        rows = [places[one.bytes] for one in ids]
        numbers = np.array(vectors, np.float32).reshape(len(ids), -1)
        self._vectors.put(rows, numbers)
        keys = np.frombuffer(b"".join(one.bytes for one in ids), np.uint64).reshape(-1, 2)
        for name, values in {IDS: keys, CHECKSUMS: checksums(numbers), **facts}.items():
            self._columns[name][rows] = values
        self._count = count

    def delete(self, ids: Collection[UUID]) -> None:
        """Delete rows; absent ids are ignored. The last rows take their places."""
        for row in sorted(self.find(ids).values(), reverse=True):
            last = self._count - 1
            if row != last:
                self._before_move(*self.ids(np.array([last])))
                self._vectors.move(last, row)
                for column in self._columns.values():
                    column[row] = column[last]
            self._count = last


def largest(values: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return where the largest values are, the largest first, and no infinite ones.

    Args:
        values: float32 `[K]`.

    Returns:
        intp `[limit]`, or fewer; of equal values the first one comes first.
    """
    places = np.flatnonzero(values > -np.inf)
    if limit < len(places):
        least = np.partition(values[places], -limit)[-limit] if limit else np.inf
        places = places[values[places] >= least]
    order = np.argsort(-values[places], kind="stable")[:limit]
    found: NDArray[np.intp] = places[order]
    return found
