"""Embed chips with checkpoints of an encoder and a translator, fused as in a bundle."""

from collections.abc import Sequence

import torch

from model_training.embedding.checkpoint_embedder import CheckpointEmbedder
from model_training.embedding.chip_table import Embeddings
from model_training.translator.diffusion import sample
from model_training.translator.train import LoadedTranslator
from service.contract.chip import Chip, Modality
from service.contract.fusion import fuse
from service.contract.manifest import FusionSpec
from service.contract.preprocess import EncoderInput, picture_to_pixels, size_token, to_picture
from service.contract.translation import bridge_picture


class FusedEmbedder:
    """A `ChipEmbedder` that fuses optical embeddings with K pseudo-SAR ones, and leaves SAR."""

    def __init__(
        self, encoder: CheckpointEmbedder, translator: LoadedTranslator, fusion: FusionSpec
    ) -> None:
        """Combine loaded models.

        Args:
            translator: sampled with the steps and the noise that it was trained for.
            fusion: K and alpha, both above zero.
        """
        self._encoder, self._translator, self._fusion = encoder, translator, fusion

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        """Embed chips."""
        plain = self._encoder(chips).plain
        fused = plain.copy()
        for row, chip in enumerate(chips):
            if chip.modality is Modality.OPTICAL:
                pseudo = self._encoder.encode(self._pseudo_sar_inputs(chip))
                fused[row] = fuse(plain[row], pseudo, self._fusion.alpha)
        return Embeddings(plain, fused)

    def _pseudo_sar_inputs(self, chip: Chip) -> list[EncoderInput]:
        """Return the chip's K pseudo-SAR pictures as encoder input; equal for equal chips."""
        spec, translator = self._encoder.spec, self._translator
        condition = bridge_picture(to_picture(chip, spec), translator.height, translator.width)
        pictures = sample(
            translator.module,
            torch.from_numpy(condition),
            translator.table(),
            int(chip.digest[:8], 16),
            self._fusion.samples,
        )
        size = size_token(chip.length_m, chip.width_m, spec.size_token)
        return [
            EncoderInput(picture_to_pixels(grey, Modality.SAR, spec), Modality.SAR, size)
            for grey in pictures  # uint8 [K, h, w]
        ]
