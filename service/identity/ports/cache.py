"""The port of the embedding cache."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EmbeddingCache(Protocol):
    """Embeddings by a key of (bundle, modality, GSD, band, chip digest); may forget any time."""

    def get(self, key: str) -> NDArray[np.float32] | None: ...

    def put(self, key: str, vector: NDArray[np.float32]) -> None: ...
