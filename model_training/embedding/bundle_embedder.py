"""Embed chips with a bundle for evaluation and calibration, as the service does.

The formulas are the contract's; this module only runs the two graphs. A test compares it with the
service's embedder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model_training.embedding.chip_table import Embeddings
from service.contract.bridge import BridgeStep, reverse_bridge
from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Chip, Modality
from service.contract.fusion import fuse, l2_normalise
from service.contract.manifest import GraphSpec, TranslatorSpec
from service.contract.preprocess import EncoderInput, picture_to_pixels, prepare, to_picture
from service.contract.translation import (
    bridge_picture,
    bridge_start,
    noise_generator,
    pseudo_sar_picture,
)


class BundleEmbedder:
    """A `ChipEmbedder` on a bundle's ONNX graphs, on the CPU."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a bundle and its graphs.

        Args:
            threads: of ONNX Runtime; 0 takes all cores.

        Raises:
            BundleError: the bundle is invalid.
        """
        self.bundle: Bundle = open_bundle(path)
        self._manifest = self.bundle.manifest
        self._encoder = self._open(self._manifest.encoder.graph_for("cpu"), threads)
        translator = self._manifest.translator
        self._translator = self._open(translator.graph, threads) if translator else None

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        """Embed chips; optical embeddings are fused if the bundle fuses."""
        inputs = [prepare(chip, self._manifest.preprocess) for chip in chips]
        plain = self._encode(inputs)
        fusion, translator = self._manifest.fusion, self._manifest.translator
        if not fusion.samples or translator is None:
            return Embeddings(plain)
        fused = plain.copy()
        for row, chip in enumerate(chips):
            if chip.modality is Modality.OPTICAL:
                pseudo = self._encode(self._pseudo_sar_inputs(chip, inputs[row], translator))
                fused[row] = fuse(plain[row], pseudo, fusion.alpha)
        return Embeddings(plain, fused)

    def _open(self, graph: GraphSpec, threads: int) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        path = self.bundle.file(graph.file)
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def _encode(self, inputs: Sequence[EncoderInput]) -> NDArray[np.float32]:
        """Return float32 `[len(inputs), D]`, unit rows."""
        spec = self._manifest.encoder
        ids = {Modality.OPTICAL: spec.optical_id, Modality.SAR: spec.sar_id}
        tensors = (
            np.stack([item.pixels for item in inputs]),
            np.array([ids[item.modality] for item in inputs], np.int64),
            np.stack([item.size_token for item in inputs]),
        )
        return l2_normalise(_run(self._encoder, spec.graph, tensors))

    def _pseudo_sar_inputs(
        self, chip: Chip, optical: EncoderInput, spec: TranslatorSpec
    ) -> list[EncoderInput]:
        """Return the chip's K pseudo-SAR pictures as encoder input of SAR with the same size."""
        preprocess, samples = self._manifest.preprocess, self._manifest.fusion.samples
        picture = bridge_picture(to_picture(chip, preprocess), spec.height, spec.width)
        condition = np.repeat(picture[None], samples, axis=0)  # [3, h, w] -> [K, 3, h, w]
        y = bridge_start(condition, spec.channels)
        weights = self._manifest.files[spec.graph.file].sha256
        generator = noise_generator(weights, chip.digest)
        time_type = np.dtype(spec.graph.inputs[2].dtype)

        def predict_grad(x_t: Any, t: int) -> NDArray[np.float32]:
            feeds = (np.asarray(x_t, np.float32), condition, np.full(samples, t, time_type))
            return _run(self._translator, spec.graph, feeds)

        x0 = reverse_bridge(
            predict_grad,
            y,
            [BridgeStep(**step.model_dump()) for step in spec.steps],
            lambda: generator.standard_normal(y.shape, np.float32),
        )
        return [
            EncoderInput(
                pixels=picture_to_pixels(grey, Modality.SAR, preprocess),
                modality=Modality.SAR,
                size_token=optical.size_token,
            )
            for grey in pseudo_sar_picture(x0)
        ]


def _run(
    session: ort.InferenceSession, graph: GraphSpec, tensors: Sequence[NDArray[Any]]
) -> NDArray[np.float32]:
    names = [tensor.name for tensor in graph.inputs]
    (output,) = session.run([graph.outputs[0].name], dict(zip(names, tensors, strict=True)))
    return np.asarray(output, np.float32)
