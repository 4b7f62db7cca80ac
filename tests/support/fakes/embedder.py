"""A `ChipEmbedder` without a model: the sum of the upper pixels seeds the vector."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.embedding import EmbeddedChip
from service.contract.errors import TranslationError
from service.contract.fusion import l2_normalise

WIDTH = 8
ROWS = 30


class FakeEmbedder:
    """Equal pixels in the first `ROWS` rows give equal vectors; counts its calls."""

    bundle_id = "fake-bundle"

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, chip: Chip) -> EmbeddedChip:
        self.calls += 1
        seed = int(abs(float(np.sum(chip.pixels[:ROWS], dtype=np.float64))) * 1000) % 2**32
        vector = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
        return EmbeddedChip(l2_normalise(vector), {"encode": 1.0})

    def embed_all(
        self, chips: Sequence[Chip], meanwhile: Callable[[], None] | None = None
    ) -> list[EmbeddedChip]:
        if meanwhile is not None:
            meanwhile()
        return [self.embed(chip) for chip in chips]

    def busy_s(self) -> float:
        return 0.0

    def translate(self, chip: Chip) -> NDArray[np.uint8]:
        if chip.modality is Modality.SAR:
            raise TranslationError("only optical chips are translated")
        return np.zeros((2, 8, 4), np.uint8)
