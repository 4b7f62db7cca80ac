"""Unit vectors in a memory-mapped file, and their products with queries.

What the file holds is derived from the records. The system may take its pages out of memory at any
time.
"""

import mmap
import os
import weakref
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.storage.local.disk_errors import disk_errors

FIRST_ROWS = 256
GROWTH = 1.5
BLOCK_BYTES = 2**20
"""Of rows that are multiplied with all queries at a time, so that they stay in the cache of the
processor."""

Products = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]


class VectorFile:
    """Embeddings in a memory-mapped file: rows of D float32, of which numpy computes products.

    Not safe to use from several threads at once.
    """

    def __init__(self, path: Path, width: int, rows: int = 0) -> None:
        """Open the file, and empty it unless it holds rows.

        Args:
            width: D.

        Raises:
            StoreFullError, StoreUnavailableError: the file cannot be used.
            ValueError: it holds fewer rows.
        """
        self._path = path
        self._width = width
        self._block = max(1, BLOCK_BYTES // (4 * width))
        with disk_errors(f"use {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | (0 if rows else os.O_TRUNC)
            self._file = os.open(path, flags, 0o600)
        weakref.finalize(self, os.close, self._file)
        self._vectors = np.empty((0, width), np.float32)
        capacity = os.fstat(self._file).st_size // (4 * width)
        if capacity < rows:
            raise ValueError(f"{path} holds {capacity} rows, not {rows}")
        if rows:
            self._map(capacity)

    def make_room(self, rows: int) -> None:
        """Take disk space for so many rows, so that no later `put` of them fails.

        Raises:
            StoreFullError, StoreUnavailableError: nothing was changed.
        """
        if rows > len(self._vectors):
            capacity = max(rows, FIRST_ROWS, int(GROWTH * len(self._vectors)))
            with disk_errors(f"use {self._path}"):
                os.posix_fallocate(self._file, 0, 4 * self._width * capacity)
                self._map(capacity)

    def sync(self) -> None:
        """Bring all rows to disk; raise OSError if the disk refuses."""
        os.fsync(self._file)

    def checksums(self, rows: int) -> NDArray[np.uint32]:
        """Return the checksums of all rows before `rows`."""
        return checksums(self._vectors[:rows])

    def put(self, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Set rows, appending those beyond the last one.

        Args:
            rows: K numbers of rows, at least one.
            vectors: float32 `[K, D]`.
        """
        self.make_room(max(rows) + 1)
        # Neighbours together: they then get neighbouring pages, which are read faster.
        starts = np.flatnonzero(np.diff(rows) != 1) + 1
        places = np.split(np.asarray(rows), starts)
        with disk_errors(f"use {self._path}"):
            for run, several in zip(places, np.split(vectors, starts), strict=True):
                os.pwrite(self._file, several.tobytes(), 4 * self._width * int(run[0]))

    def move(self, source: int, target: int) -> None:
        """Copy a row to the place of another."""
        self.put([target], self._vectors[source : source + 1])

    def products(self, queries: NDArray[np.float32], rows: int, first: int = 0) -> Products:
        """Return the products of queries with all rows before `rows`, at most 1 and at least -1.

        Args:
            queries: float32 `[Q, D]`, unit length.

        Returns:
            float32 `[Q, rows - first]`.
        """
        products = np.empty((len(queries), rows - first), np.float32)
        for start in range(first, rows, self._block):
            end = min(start + self._block, rows)
            block = self._vectors[start:end]
            # One by one: BLAS takes longer for a few queries together than for each alone.
            for query, result in zip(queries, products, strict=True):
                np.dot(block, query, out=result[start - first : end - first])
        return products.clip(-1.0, 1.0, out=products)

    def products_of(self, rows: NDArray[np.intp], query: NDArray[np.float32]) -> Products:
        """Return the products of one query, float32 `[D]`, with these rows, float32 `[K]`."""
        products = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), self._block):
            some = rows[start : start + self._block]
            np.dot(self._vectors[some], query, out=products[start : start + len(some)])
        return products.clip(-1.0, 1.0, out=products)

    def _map(self, capacity: int) -> None:
        pages = mmap.mmap(self._file, 4 * self._width * capacity, prot=mmap.PROT_READ)
        self._vectors = np.frombuffer(pages, np.float32).reshape(capacity, self._width)


def checksums(vectors: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row, `[K]`, of float32 `[K, D]`."""
    return np.fromiter((zlib.crc32(one) for one in vectors), np.uint32, len(vectors))
