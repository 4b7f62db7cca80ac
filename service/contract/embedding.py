"""The result of embedding a chip, and what embeds several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip


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
