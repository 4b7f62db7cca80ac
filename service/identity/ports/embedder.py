"""The port of the models: a chip in, its embedding out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.contract.embedding import EmbeddedChip


class ChipEmbedder(Protocol):
    """Denoise, encode, translate, fuse. Safe to call from many threads."""

    @property
    def bundle_id(self) -> str: ...

    def embed(self, chip: Chip) -> EmbeddedChip:
        """Raises OverloadedError when too many chips are waiting."""
        ...

    def imagine(self, chip: Chip) -> NDArray[np.uint8]:
        """Pseudo-SAR pictures of an optical chip: uint8 `[K, h, w]`.

        Raises:
            InvalidRequestError: the chip is SAR, or the bundle has no translator.
        """
        ...

    def busy_s(self) -> float:
        """Seconds that the longest computation under way has been going on; 0 when there is none.

        Few seconds are a busy service; many are one that hangs.
        """
        ...
