"""Vectors with sketches: a few numbers of each, which limit how similar it can be to a query.

Embeddings lie near few directions: with the shipped bundle, the 23 principal axes of a gallery hold
93 % of their squares. So a pass over sketches tells for nearly all rows, in a fraction of the time,
that their products cannot be among the largest, whatever the rest of the vectors is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.storage.edge.tables.vector_file import Arrays, Products, VectorFile

AXES = "axes"
MOST_AXES = 23
SKETCHED_ROWS = 16_384
"""Rows that have their axes in common; rows beyond the last full block have no sketch. A block is
sketched when it is full, which takes some 50 ms."""

FITTED_ROWS = 2048
"""Rows of a block that its axes are fitted to."""

ROUNDING = 1e-6
"""Added to the square of a rest, which is a difference of numbers near 1 in float32."""


class SketchedVectors(VectorFile):
    """A `VectorFile` that limits products from above.

    A second file holds a sketch of each row, 96 bytes: its products with the axes of its block, and
    the length of the rest.
    """

    def __init__(self, path: Path, width: int, rows: int = 0, saved: Arrays | None = None) -> None:
        """Open the file, and sketch its rows anew.

        Args:
            path, width, rows: see `VectorFile`.
            saved: what `axes` returned when it held these rows.
        """
        super().__init__(path, width, rows)
        self._axes: list[NDArray[np.float32]] = [] if saved is None else [*saved[AXES]]
        self._sketches = VectorFile(
            path.with_name(f"{path.name}.sketches"), min(MOST_AXES, width) + 1
        )
        for block, axes in enumerate(self._axes):
            own = range(block * SKETCHED_ROWS, min((block + 1) * SKETCHED_ROWS, rows))
            if own:
                self._sketches.put(own, _sketch(self._vectors[own.start : own.stop], axes))

    def axes(self) -> dict[str, NDArray[Any]]:
        """Return the axes of all blocks, float32 `[blocks, D, A]`, each orthonormal."""
        return {AXES: np.array(self._axes, np.float32)}

    @property
    def sketched(self) -> int:
        """How many rows have a sketch: the first ones."""
        return len(self._axes) * SKETCHED_ROWS

    def make_room(self, rows: int) -> None:
        super().make_room(rows)
        self._sketches.make_room(rows)

    def put(self, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        super().put(rows, vectors)
        places = np.asarray(rows)
        blocks = places // SKETCHED_ROWS
        for block in np.unique(blocks[places < self.sketched]):
            own = np.flatnonzero(blocks == block)
            self._sketches.put(places[own].tolist(), _sketch(vectors[own], self._axes[block]))
        while self.sketched + SKETCHED_ROWS <= max(rows) + 1:
            full = range(self.sketched, self.sketched + SKETCHED_ROWS)
            block_vectors = self._vectors[full.start : full.stop]
            axes = _principal_axes(block_vectors[:: max(1, SKETCHED_ROWS // FITTED_ROWS)])
            self._sketches.put(full, _sketch(block_vectors, axes))
            self._axes.append(axes)

    def bounds(self, queries: NDArray[np.float32], rows: int) -> Products:
        """Return numbers that the products of queries with the first rows do not exceed.

        By Cauchy and Schwarz, the product of the rests of two vectors is at most that of their
        lengths. Rounding may exceed it by some 1e-6.

        Args:
            queries: float32 `[Q, D]`, unit length.

        Returns:
            float32 `[Q, rows]`; of rows without a sketch it is the product itself.
        """
        bounds = np.empty((len(queries), rows), np.float32)
        for block, axes in enumerate(self._axes):
            first = block * SKETCHED_ROWS
            end = min(first + SKETCHED_ROWS, rows)
            if first < end:
                sketches = _sketch(queries, axes)
                bounds[:, first:end] = self._sketches.products(sketches, end, first)
        if rows > self.sketched:
            bounds[:, self.sketched :] = self.products(queries, rows, self.sketched)
        return bounds


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return nearly the axes that hold most of the squares, float32 `[D, A]`, by iteration."""
    width = sample.shape[1]
    axes = np.random.default_rng(0).normal(size=(width, min(MOST_AXES, width)))
    for _ in range(4):
        axes, _ = np.linalg.qr(sample.T @ (sample @ axes.astype(np.float32)).astype(np.float64))
    return axes.astype(np.float32)


def _sketch(vectors: NDArray[np.float32], axes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sketches of vectors, float32 `[K, A + 1]`."""
    with np.errstate(all="ignore"):  # of rows that are damaged, which a checksum then tells
        parts = vectors @ axes  # [K, A]
        squares = [np.einsum("ij,ij->i", one, one) for one in (vectors, parts)]
        rests = np.sqrt(np.maximum(squares[0] - squares[1], 0.0) + ROUNDING)
    return np.column_stack([parts, rests])
