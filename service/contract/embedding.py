"""The result of embedding a chip, and what embeds several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.contract.fusion import l2_normalise


@dataclass(frozen=True, slots=True)
class EmbeddedChip:
    """A chip's embedding in the space that optical and SAR share.

    Attributes:
        vector: float32 `[D]`, unit length; fused if the chip is optical and the bundle fuses.
        timings_ms: milliseconds spent per stage (`denoise`, `encode`, `translate`, `fuse`).
    """

    vector: NDArray[np.float32]
    timings_ms: Mapping[str, float] = field(default_factory=dict)


class BatchEmbedder(Protocol):
    """The models of a bundle, without the queue that a service puts before them."""

    @property
    def width(self) -> int:
        """D, the width of an embedding."""

    def embed_many(self, chips: Sequence[Chip]) -> Sequence[EmbeddedChip]:
        """Embed several chips at once, in order."""


def mean_of_views(
    vectors: NDArray[np.float32], views: Sequence[Sequence[object]]
) -> NDArray[np.float32]:
    """Return one embedding for each chip: the mean of its views' embeddings, at unit length.

    Args:
        vectors: float32 `[views of all chips, D]`, unit rows, chip by chip.
        views: of N chips, at least one each, see `preprocess.prepare_views`.

    Returns:
        float32 `[N, D]`; a single view's embedding is returned bit for bit.
    """
    counts = np.array([len(one) for one in views])
    if len(vectors) == len(counts):
        return vectors
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(vectors, starts)
    several = counts > 1
    means[several] = l2_normalise(means[several])
    return means
