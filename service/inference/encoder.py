"""Run the encoder graph."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.contract.batches import in_batches
from service.contract.chip import Modality
from service.contract.errors import BundleError
from service.contract.fusion import l2_normalise
from service.contract.manifest import EncoderSpec, PreprocessSpec
from service.contract.preprocess import EncoderInput
from service.inference.session import Runner

MAX_BATCH = 32  # larger batches use more memory and are not faster


class Encoder:
    """Computes unit embeddings from pixels, modality and size."""

    def __init__(self, runner: Runner, spec: EncoderSpec) -> None:
        self._runner = runner
        self._names = [tensor.name for tensor in spec.graph.inputs]
        self._ids = {Modality.OPTICAL: spec.optical_id, Modality.SAR: spec.sar_id}
        self.width = spec.embedding_width

    def encode(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Encode any number of chips, optical and SAR mixed; return float32 `[N, D]`, unit length.

        Raises:
            ValueError: an embedding is zero or not finite.
        """
        parts = [self._run(some) for some in in_batches(inputs, MAX_BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.width), np.float32)

    def _run(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        tensors = (
            np.stack([item.pixels for item in inputs]),
            np.array([self._ids[item.modality] for item in inputs], dtype=np.int64),
            np.stack([item.size_token for item in inputs]),
        )
        return l2_normalise(self._runner.run(dict(zip(self._names, tensors, strict=True))))


def require_encoder_tensors(spec: EncoderSpec, preprocess: PreprocessSpec) -> None:
    """Check that the encoder's tensors fit the preprocessing and the embedding width.

    Raises:
        BundleError: the manifest contradicts itself.
    """
    expected = [
        ("float32", (3, preprocess.height, preprocess.width)),
        ("int64", ()),
        ("float32", (3,)),
    ]
    found = [(tensor.dtype, tensor.shape[1:]) for tensor in spec.graph.inputs]
    if found != expected:
        raise BundleError(
            f"the encoder takes {found} per chip, but the preprocessing yields {expected}"
        )
    widths = [tensor.shape[1:] for tensor in spec.graph.outputs]
    if widths != [(spec.embedding_width,)]:
        raise BundleError(
            f"the encoder yields {widths} per chip, but the embedding width is "
            f"{spec.embedding_width}"
        )
