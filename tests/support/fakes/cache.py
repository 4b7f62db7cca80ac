"""An `EmbeddingCache` in a dictionary."""

import numpy as np
from numpy.typing import NDArray


class FakeCache:
    def __init__(self) -> None:
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def get(self, key: str) -> NDArray[np.float32] | None:
        return self._vectors.get(key)

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        self._vectors[key] = vector
