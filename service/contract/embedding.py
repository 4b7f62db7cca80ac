"""What embedding one chip yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddedChip:
    """A chip as a point in the space where optical and SAR agree.

    Attributes:
        vector: float32 `[D]`, unit length, fused where the chip is optical and the bundle fuses.
        timings_ms: milliseconds spent per stage (`denoise`, `encode`, `translate`, `fuse`).
    """

    vector: NDArray[np.float32]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
