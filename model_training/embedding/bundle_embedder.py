"""Embed chips with a bundle for evaluation and calibration, by the service's own embedder."""

from collections.abc import Sequence
from pathlib import Path

from model_training.embedding.chip_table import Embeddings
from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Chip, Modality
from service.inference.embedder import build_embedder


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
        self._embedder = build_embedder(self.bundle, "cpu", threads)

    def __call__(self, chips: Sequence[Chip]) -> Embeddings:
        """Embed chips; optical embeddings are fused if the bundle fuses."""
        plain = self._embedder.encode_many(chips)
        if not self.bundle.manifest.fusion.samples:
            return Embeddings(plain)
        fused = plain.copy()
        optical = [row for row, chip in enumerate(chips) if chip.modality is Modality.OPTICAL]
        for row, embedded in zip(
            optical, self._embedder.embed_many([chips[row] for row in optical]), strict=True
        ):
            fused[row] = embedded.vector
        return Embeddings(plain, fused)
