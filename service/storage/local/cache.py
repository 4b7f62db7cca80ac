"""Embeddings kept in the memory of this process."""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class MemoryCache:
    """The most recently used embeddings of this process. Safe for many threads."""

    def __init__(self, entries: int) -> None:
        """Keep at most this many; with 0 everything is forgotten at once."""
        self._most = entries
        self._turn = threading.Lock()
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(self, key: str) -> NDArray[np.float32] | None:
        with self._turn:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        """The cache keeps its own copy, which nobody can change."""
        kept = vector.astype(np.float32, copy=True)
        kept.flags.writeable = False
        with self._turn:
            self._vectors[key] = kept
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._most:
                self._vectors.popitem(last=False)
