"""Embed chips with encoder checkpoints in torch, without fusion."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_training.embedding.chip_table import Embeddings
from model_training.encoder.loading import load_encoders
from service.contract.chip import Chip, Modality
from service.contract.embedding import mean_of_views
from service.contract.fusion import l2_normalise
from service.contract.manifest import EncoderSpec
from service.contract.preprocess import EncoderInput, prepare_views

_IDS = {
    Modality.OPTICAL: EncoderSpec.model_fields["optical_id"].default,
    Modality.SAR: EncoderSpec.model_fields["sar_id"].default,
}


class CheckpointEmbedder:
    """A `ChipEmbedder` with the averaged weights of encoder runs, on the CPU."""

    def __init__(self, paths: Sequence[Path], threads: int = 0) -> None:
        """Load encoders.

        Args:
            paths: `checkpoint.pt` or `best.pt` of encoder runs; several are used as one.
            threads: of torch; 0 leaves torch's own choice.

        Raises:
            EncoderLoadError: a file is not a checkpoint of an encoder run, or the encoders take
                different inputs.
        """
        if threads:
            torch.set_num_threads(threads)
        loaded = load_encoders(paths)
        self.spec = loaded.preprocess
        self._module = loaded.module

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        """Embed chips."""
        views = [prepare_views(chip, self.spec) for chip in chips]
        return Embeddings(mean_of_views(self.encode(list(chain(*views))), views))

    @torch.inference_mode()
    def encode(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Return float32 `[len(inputs), D]`, unit rows."""
        vectors = self._module(
            torch.from_numpy(np.stack([item.pixels for item in inputs])),
            torch.tensor([_IDS[item.modality] for item in inputs]),
            torch.from_numpy(np.stack([item.size_token for item in inputs])),
        )
        return l2_normalise(vectors.numpy())
