"""An `EmbeddingCache` in a dictionary."""

import numpy as np
from numpy.typing import NDArray


class FakeCache:
    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.float32]] = {}

    def get(self, key: str) -> NDArray[np.float32] | None:
        return self._kept.get(key)

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        self._kept[key] = vector
