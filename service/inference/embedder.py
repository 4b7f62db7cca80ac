"""Embed chips with the models of a bundle: denoise, encode, translate, fuse."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle import Bundle, open_bundle
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.embedding import EmbeddedChip, mean_of_views
from service.contract.errors import BundleError, TranslationError
from service.contract.fusion import fuse
from service.contract.manifest import Manifest
from service.contract.preprocess import EncoderInput, picture_to_pixels, prepare_views, to_picture
from service.inference.encoder import Encoder, require_encoder_tensors
from service.inference.session import DeviceChoice, Session, choose_device, open_session
from service.inference.translator import Translator, require_translator_tensors


class Embedder:
    """Embeds chips as unit vectors that are comparable across optical and SAR.

    Attributes:
        bundle_id: id of the bundle; vectors of different bundles are not comparable.
        width: D, the number of dimensions.
        precision: of the encoder's graph on this device.
        min_golden_cosine: of its golden embeddings, which are those of the full graph.
    """

    def __init__(
        self, bundle: Bundle, encoder: Encoder, translator: Translator | None, session: Session
    ) -> None:
        self.bundle_id = bundle.bundle_id
        self.manifest: Manifest = bundle.manifest
        self.width = encoder.width
        self.device = session.device
        spec = self.manifest.encoder
        rounded = spec.rounded_for(self.device)
        self.precision = spec.graph_for(self.device).precision
        self.min_golden_cosine = (rounded or self.manifest.golden).min_cosine
        self._bundle = bundle
        self._encoder = encoder
        self._translator = translator

    def embed_many(self, chips: Sequence[Chip]) -> list[EmbeddedChip]:
        """Embed chips of both modalities.

        The timings are those of the whole batch, so all chips of a batch have the same.

        Raises:
            ValueError: an embedding is zero or not finite.
        """
        timings: dict[str, float] = {}
        spec = self.manifest.preprocess
        with _timed(timings, "denoise"):
            views = [prepare_views(chip, spec) for chip in chips]
        with _timed(timings, "encode"):
            vectors = self._encode(views)
        fused = [i for i, chip in enumerate(chips) if self._fuses(chip)]
        if fused:
            with _timed(timings, "translate"):
                pictures = self._translate_many([chips[i] for i in fused])
            with _timed(timings, "encode"):
                pseudo = self._encode_pseudo_sar(pictures, [views[i][0] for i in fused])
            with _timed(timings, "fuse"):
                for i, features in zip(fused, pseudo, strict=True):
                    vectors[i] = fuse(vectors[i], features, self.manifest.fusion.alpha)
        return [EmbeddedChip(vector, timings) for vector in vectors]

    def encode_many(self, chips: Sequence[Chip]) -> NDArray[np.float32]:
        """Return the encoder's embeddings before any fusion: float32 `[N, D]`, unit rows."""
        return self._encode([prepare_views(chip, self.manifest.preprocess) for chip in chips])

    def translate(self, chip: Chip) -> NDArray[np.uint8]:
        """Return the pseudo-SAR pictures of an optical chip: uint8 `[K, h, w]`.

        Raises:
            TranslationError: the chip is SAR, or the bundle has no translator.
        """
        if chip.modality is not Modality.OPTICAL:
            raise TranslationError("only optical chips are translated; this one is SAR already")
        (pictures,) = self._translate_many([chip])
        return np.asarray(pictures)

    def golden_chips(self) -> list[Chip]:
        """Decode the bundle's golden chips.

        Raises:
            BundleError: the bundle has none.
            ChipError: a chip cannot be decoded.
        """
        golden = self.manifest.golden
        if not golden.chips:
            raise BundleError(f"bundle {self.manifest.name} has no golden chips to verify it by")
        return [
            decode_chip(
                self._bundle.file(name).read_bytes(), modality=Modality(modality), gsd_m=gsd_m
            )
            for name, modality, gsd_m in zip(
                golden.chips, golden.modalities, golden.gsd_m, strict=True
            )
        ]

    def verify_golden(self) -> float:
        """Embed the golden chips and compare with their embeddings when the bundle was built.

        Returns:
            The smallest cosine similarity.

        Raises:
            BundleError: an embedding differs, or the golden files are malformed.
        """
        golden, chips = self.manifest.golden, self.golden_chips()
        expected = _load_vectors(self._bundle.file(golden.embeddings), (len(chips), self.width))
        found = np.stack([embedded.vector for embedded in self.embed_many(chips)])
        cosines = (found * expected).sum(axis=1)
        worst = int(cosines.argmin())
        if not cosines[worst] >= self.min_golden_cosine:
            raise BundleError(
                f"golden chip {golden.chips[worst]} embeds with cosine {cosines[worst]:.5f} to "
                f"its known vector; at least {self.min_golden_cosine} is expected"
            )
        return float(cosines[worst])

    def _encode(self, views: Sequence[Sequence[EncoderInput]]) -> NDArray[np.float32]:
        """Return one embedding for each chip, float32 `[N, D]`, see `prepare_views`."""
        return mean_of_views(self._encoder.encode(list(chain(*views))), views)

    def _fuses(self, chip: Chip) -> bool:
        return chip.modality is Modality.OPTICAL and self.manifest.fusion.samples > 0

    def _translate_many(self, chips: Sequence[Chip]) -> NDArray[np.uint8]:
        if self._translator is None:
            raise TranslationError(f"bundle {self.manifest.name} has no translator")
        pictures = [to_picture(chip, self.manifest.preprocess) for chip in chips]
        return self._translator.translate(pictures, [chip.digest for chip in chips])

    def _encode_pseudo_sar(
        self, pictures: NDArray[np.uint8], optical: Sequence[EncoderInput]
    ) -> NDArray[np.float32]:
        """Encode pictures uint8 `[N, K, h, w]` as SAR of the optical chip's size: `[N, K, D]`."""
        spec = self.manifest.preprocess
        inputs = [
            EncoderInput(
                pixels=picture_to_pixels(grey, Modality.SAR, spec),
                modality=Modality.SAR,
                size_token=chip.size_token,
            )
            for samples, chip in zip(pictures, optical, strict=True)
            for grey in samples
        ]
        # [N * K, D] -> [N, K, D]
        return self._encoder.encode(inputs).reshape(*pictures.shape[:2], self.width)


def load_embedder(path: Path, device: DeviceChoice = "auto", threads: int = 0) -> Embedder:
    """Open a bundle and verify it, including its golden chips.

    Raises:
        BundleError: files, graphs or golden vectors are not those of the manifest.
        DeviceError: the device is not available.
    """
    embedder = build_embedder(open_bundle(path), device, threads)
    embedder.verify_golden()
    return embedder


def build_embedder(bundle: Bundle, device: DeviceChoice = "auto", threads: int = 0) -> Embedder:
    """Open the graphs of a verified bundle without running them; see `load_embedder`.

    Of the encoder's graphs the one for the device is opened.
    """
    manifest = bundle.manifest
    require_encoder_tensors(manifest.encoder, manifest.preprocess)
    graph = manifest.encoder.graph_for(choose_device(device))
    session = open_session(bundle.file(graph.file), graph, device, threads)
    translator = None
    if spec := manifest.translator:
        require_translator_tensors(spec)
        runner = open_session(bundle.file(spec.graph.file), spec.graph, device, threads)
        weights_id = manifest.files[spec.graph.file].sha256
        translator = Translator(runner, spec, max(manifest.fusion.samples, 1), weights_id)
    return Embedder(bundle, Encoder(session, manifest.encoder), translator, session)


def _load_vectors(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    try:
        vectors = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise BundleError(f"{path.name} is not an array file: {error}") from error
    if vectors.shape != shape or vectors.dtype != np.float32:
        raise BundleError(
            f"{path.name} holds {vectors.dtype} {vectors.shape}, expected float32 {shape}"
        )
    return np.asarray(vectors)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds spent inside to a stage."""
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - start) * 1000
