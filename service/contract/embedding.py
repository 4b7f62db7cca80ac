"""The result of embedding a chip."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddedChip:
    """A chip's embedding in the space that optical and SAR share.

    Attributes:
        vector: float32 `[D]`, unit length; fused if the chip is optical and the bundle fuses.
        timings_ms: milliseconds spent per stage (`denoise`, `encode`, `translate`, `fuse`).
    """

    vector: NDArray[np.float32]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
