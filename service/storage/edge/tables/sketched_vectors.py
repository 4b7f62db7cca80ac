"""Vectors with sketches: a few numbers of each, which limit how similar it can be to a query.

Embeddings lie near few directions: with the shipped bundle, the 23 principal axes of a gallery hold
93 % of their squares. So a pass over sketches tells for nearly all rows, in a fraction of the time,
that their products cannot be among the largest, whatever the rest of the vectors is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.storage.edge.tables.vector_file import Arrays, Products, VectorFile

AXES = 23
SKETCHED_ROWS = 16_384
"""Rows that have their axes in common; rows beyond the last full block have no sketch. A block is
sketched when it is full, which takes some 50 ms."""

FITTED_ROWS = 2048
"""Rows of a block that its axes are fitted to."""

ROUNDING = 1e-6
"""Added to the square of a rest, which is a difference of numbers near 1 in float32."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """The sketches of a block of rows.

    Attributes:
        axes: float32 `[D, A]`, orthonormal.
        numbers: float32 `[A + 1, rows]`: products with the axes, and the length of the rest.
    """

    axes: NDArray[np.float32]
    numbers: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> "Sketches":
        """Return the sketches of a block, float32 `[rows, D]`."""
        sample = vectors[:: max(1, len(vectors) // FITTED_ROWS)]
        axes = _principal_axes(sample)
        return cls(axes, np.ascontiguousarray(_sketch(vectors, axes).T))

    def renew(self, places: NDArray[np.intp], vectors: NDArray[np.float32]) -> None:
        """Sketch rows of the block anew: K places in it and their vectors, float32 `[K, D]`."""
        self.numbers[:, places] = _sketch(vectors, self.axes).T


class SketchedVectors(VectorFile):
    """A `VectorFile` that limits products from above. Sketches are in memory: 96 bytes a row."""

    def __init__(self, path: Path, width: int, rows: int = 0, saved: Arrays | None = None) -> None:
        """Open the file; see `VectorFile`.

        Args:
            path, width, rows: of the file.
            saved: what `arrays` returned when it held these rows.
        """
        super().__init__(path, width, rows)
        self._blocks: list[Sketches] = []
        if saved is not None:
            blocks = zip(saved["axes"], saved["sketches"], strict=True)
            self._blocks = [Sketches(axes, numbers) for axes, numbers in blocks]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the sketches of all blocks."""
        return {
            "axes": np.array([one.axes for one in self._blocks], np.float32),
            "sketches": np.array([one.numbers for one in self._blocks], np.float32),
        }

    @property
    def sketched(self) -> int:
        """How many rows have a sketch: the first ones."""
        return len(self._blocks) * SKETCHED_ROWS

    def put(self, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        super().put(rows, vectors)
        places = np.asarray(rows)
        old = np.flatnonzero(places < self.sketched)
        for number in np.unique(places[old] // SKETCHED_ROWS):
            own = old[places[old] // SKETCHED_ROWS == number]
            self._blocks[number].renew(places[own] % SKETCHED_ROWS, vectors[own])
        while self.sketched + SKETCHED_ROWS <= max(rows) + 1:
            end = self.sketched + SKETCHED_ROWS
            self._blocks.append(Sketches.of(self._vectors[self.sketched : end]))

    def bounds(self, queries: NDArray[np.float32], rows: int) -> Products:
        """Return numbers that the products of queries with the first rows do not exceed.

        By Cauchy and Schwarz, the product of the rests of two vectors is at most that of their
        lengths. Rounding may exceed it by some 1e-6.

        Args:
            queries: float32 `[Q, D]`, unit length.
            rows: how many rows.

        Returns:
            float32 `[Q, rows]`; of rows without a sketch it is the product itself.
        """
        bounds = np.empty((len(queries), rows), np.float32)
        for number, block in enumerate(self._blocks):
            first = number * SKETCHED_ROWS
            end = min(first + SKETCHED_ROWS, rows)
            if first < end:
                numbers = block.numbers[:, : end - first]
                for sketch, result in zip(_sketch(queries, block.axes), bounds, strict=True):
                    np.dot(sketch, numbers, out=result[first:end])
        if rows > self.sketched:
            bounds[:, self.sketched :] = self.products(queries, rows, self.sketched)
        return bounds


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return nearly the axes that hold most of the squares, float32 `[D, A]`, by iteration."""
    width = sample.shape[1]
    axes = np.random.default_rng(0).normal(size=(width, min(AXES, width)))
    for _ in range(4):
        axes, _ = np.linalg.qr(sample.T @ (sample @ axes.astype(np.float32)).astype(np.float64))
    return axes.astype(np.float32)


def _sketch(vectors: NDArray[np.float32], axes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sketches of vectors, float32 `[K, A + 1]`."""
    parts = vectors @ axes  # [K, A]
    squares = [np.einsum("ij,ij->i", one, one) for one in (vectors, parts)]
    rests = np.sqrt(np.maximum(squares[0] - squares[1], 0.0) + ROUNDING)
    return np.column_stack([parts, rests])
