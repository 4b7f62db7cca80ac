"""Embeddings in the memory of this process."""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class MemoryCache:
    """The most recently used embeddings. Safe to call from many threads."""

    def __init__(self, entries: int) -> None:
        """Keep at most this many embeddings; 0 keeps none."""
        self._max_entries = entries
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(self, key: str) -> NDArray[np.float32] | None:
        with self._lock:
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
            return vector

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        """Keep a read-only copy."""
        copy = vector.astype(np.float32, copy=True)
        copy.flags.writeable = False
        with self._lock:
            self._vectors[key] = copy
            self._vectors.move_to_end(key)
            while len(self._vectors) > self._max_entries:
                self._vectors.popitem(last=False)
