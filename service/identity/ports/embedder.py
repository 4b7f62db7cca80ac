"""The port of the models that embed chips."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.contract.embedding import EmbeddedChip


class ChipEmbedder(Protocol):
    """Denoises, encodes, translates and fuses. Safe to call from many threads."""

    @property
    def bundle_id(self) -> str:
        """The bundle of the models."""

    def embed(self, chip: Chip) -> EmbeddedChip:
        """Embed a chip; raise OverloadedError when too many chips are waiting."""

    def embed_all(
        self, chips: Sequence[Chip], meanwhile: Callable[[], None] | None = None
    ) -> list[EmbeddedChip]:
        """Embed chips in order, in as few batches as may be; see `embed`.

        Calls `meanwhile` once no queue is too full for the chips, before it waits for the models.
        """

    def translate(self, chip: Chip) -> NDArray[np.uint8]:
        """Return pseudo-SAR images of an optical chip: uint8 `[K, h, w]`.

        Raises:
            TranslationError: the chip is SAR, or the bundle has no translator.
        """

    def busy_s(self) -> float:
        """Return the age in seconds of the oldest computation under way; 0 when there is none."""
