"""The models: the shipped encoder beside the published one, batches, translation."""

from collections.abc import Iterator

import numpy as np
import torch

from bench.timing import Comparison, compare
from model_training.encoder import build_encoder
from model_training.encoder.config import ReferenceConfig
from service.contract.chip import Chip, Modality
from service.contract.preprocess import prepare
from service.inference.embedder import load_embedder
from service.settings import SHIPPED_BUNDLE

BATCH = 8


def chips(modality: Modality, count: int) -> list[Chip]:
    """Chips of noise, 200 x 40 pixels."""
    rng = np.random.default_rng(0)
    shape = (200, 40) if modality is Modality.SAR else (200, 40, 3)
    kind = np.float32 if modality is Modality.SAR else np.uint8
    return [
        Chip(
            (rng.exponential(size=shape) * 40).astype(kind),
            modality,
            1.0,
            "parameter",
            np.dtype(kind).name,
            f"{number:064x}",
        )
        for number in range(count)
    ]


def compare_models(threads: int) -> Iterator[Comparison]:
    """Yield one comparison after the other."""
    torch.set_num_threads(threads)
    embedder = load_embedder(SHIPPED_BUNDLE, "cpu", threads)
    sar, optical = chips(Modality.SAR, BATCH), chips(Modality.OPTICAL, 1)

    reference = build_encoder(ReferenceConfig(kind="reference")).eval()
    spec = ReferenceConfig(kind="reference").preprocess

    def published() -> None:
        one = prepare(sar[0], spec)
        with torch.inference_mode():
            reference(
                torch.from_numpy(one.pixels[None]),
                torch.tensor([1]),
                torch.from_numpy(one.size_token[None]),
            )

    yield compare(
        "embed a SAR chip",
        ("shipped bundle, ONNX Runtime", lambda: embedder.embed_many(sar[:1])),
        ("published encoder (ViT-B), PyTorch", published),
    )
    yield compare(
        f"embed {BATCH} SAR chips, each",
        ("one batch", lambda: embedder.embed_many(sar)),
        ("one by one", lambda: [embedder.embed_many([chip]) for chip in sar]),
        units=BATCH,
    )
    yield compare(
        "embed a chip",
        ("SAR", lambda: embedder.embed_many(sar[:1])),
        (
            "optical, translation and fusion as the bundle has them",
            lambda: embedder.embed_many(optical),
        ),
    )
