"""The port of the embedding cache."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EmbeddingCache(Protocol):
    """Embeddings by a key of bundle, modality, GSD, band and chip digest; entries may expire."""

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return the embedding, float32 `[D]`; None when it is not cached."""

    def put(self, key: str, vector: NDArray[np.float32]) -> None:
        """Cache an embedding, float32 `[D]`."""
