"""Unit vectors in memory, the wide ones as 16-bit integers, and their products with queries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 1024
"""Rows that are converted to float32 at a time, so that they stay in the cache of the processor."""

FIXED_POINT_FROM = 128
"""The width from which 16 bits suffice: the numbers of a narrower unit vector are larger."""

LARGEST = 32767


class FixedPointMatrix:
    """Rows of D 16-bit integers with a scale of their own; float32 where D is small.

    A product with a unit vector is within 1e-5 of that of the original row. numpy computes it
    without the interpreter lock. For one thread at a time.
    """

    def __init__(self, width: int) -> None:
        """Start without rows; `width` is D."""
        self._width = width
        self._type = np.int16 if width >= FIXED_POINT_FROM else np.float32
        self._blocks: list[NDArray[Any]] = []
        self._scales = np.empty(0, np.float32)
        self._converted = np.empty((BLOCK_ROWS, width), np.float32)

    def put(self, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Set rows, appending those beyond the last one.

        Args:
            rows: K numbers of rows.
            vectors: float32 `[K, D]`.
        """
        while max(rows) >= len(self._scales):
            self._blocks.append(np.empty((BLOCK_ROWS, self._width), self._type))
            self._scales = np.concatenate([self._scales, np.zeros(BLOCK_ROWS, np.float32)])
        scales = np.abs(vectors).max(axis=1) / LARGEST
        scaled = vectors / scales[:, None]
        numbers = np.rint(scaled).astype(np.int16) if self._type is np.int16 else scaled
        for row, values in zip(rows, numbers, strict=True):
            self._blocks[row // BLOCK_ROWS][row % BLOCK_ROWS] = values
        self._scales[list(rows)] = scales

    def move(self, source: int, target: int) -> None:
        """Copy a row to the place of another."""
        values = self._blocks[source // BLOCK_ROWS][source % BLOCK_ROWS]
        self._blocks[target // BLOCK_ROWS][target % BLOCK_ROWS] = values
        self._scales[target] = self._scales[source]

    def products(self, queries: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
        """Return the products of queries with the first rows, at most 1 and at least -1.

        Args:
            queries: float32 `[Q, D]`, unit length.
            rows: how many rows.

        Returns:
            float32 `[Q, rows]`.
        """
        products = np.empty((rows, len(queries)), np.float32)
        for block, first in zip(self._blocks, range(0, rows, BLOCK_ROWS), strict=False):
            count = min(BLOCK_ROWS, rows - first)
            converted = self._converted[:count]
            np.copyto(converted, block[:count])
            np.matmul(converted, queries.T, out=products[first : first + count])
        products *= self._scales[:rows, None]
        return np.ascontiguousarray(products.clip(-1.0, 1.0).T)
