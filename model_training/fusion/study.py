"""Compute the features for a fusion study, and format its result: `crossfix-train fusion-study`."""

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_training.data.cache import MODALITY_IDS, PictureStore
from model_training.encoder.batches import plain_batch
from model_training.fusion.selection import FusionChoice, ValidationFeatures
from model_training.translator.diffusion import sample_many
from model_training.translator.train import LoadedTranslator
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import picture_to_pixels
from service.contract.translation import bridge_picture

BATCH = 16

Features = NDArray[np.float32]


def validation_features(
    encoder: nn.Module,
    spec: PreprocessSpec,
    translator: LoadedTranslator,
    store: PictureStore,
    samples: int,
    steps: int | None = None,
    among: Collection[int] | None = None,
) -> ValidationFeatures:
    """Encode every chip of a store, and K pseudo-SAR pictures of every optical chip.

    Args:
        encoder: pixels `[N, 3, H, W]`, modality `[N]`, size `[N, 3]` -> `[N, D]`, in eval mode.
        store: chips of ships that neither was trained on.
        samples: K.
        steps: of the sampler; None takes the number that the translator was trained for.
        among: the ships whose chips are encoded; None takes all.
    """
    vessels = store.vessels[store.vessel_row]
    taken = np.ones(len(vessels), bool) if among is None else np.isin(vessels, list(among))
    optical, sar = (
        np.flatnonzero(taken & (store.chips["modality"] == MODALITY_IDS[modality]))
        for modality in (Modality.OPTICAL, Modality.SAR)
    )
    encoded: dict[Modality, list[Features]] = {modality: [] for modality in Modality}
    pseudo_sar = []
    for rows, modality in ((optical, Modality.OPTICAL), (sar, Modality.SAR)):
        for part in np.split(rows, range(BATCH, len(rows), BATCH)):
            batch = plain_batch(store, part.tolist(), spec)
            encoded[modality].append(_encode(encoder, batch.pixels, batch.size, modality))
            if modality is Modality.OPTICAL:
                pixels = _pseudo_sar_pixels(translator, store, part, spec, samples, steps)
                sizes = batch.size.repeat_interleave(samples, dim=0)  # [N, 3] -> [N K, 3]
                features = _encode(encoder, pixels, sizes, Modality.SAR)
                pseudo_sar.append(features.reshape(len(part), samples, -1))  # [N K, D] -> [N, K, D]
    return ValidationFeatures(
        optical=np.concatenate(encoded[Modality.OPTICAL]),
        pseudo_sar=np.concatenate(pseudo_sar),
        optical_ids=vessels[optical],
        sar=np.concatenate(encoded[Modality.SAR]),
        sar_ids=vessels[sar],
    )


def _pseudo_sar_pixels(
    translator: LoadedTranslator,
    store: PictureStore,
    rows: NDArray[np.int64],
    spec: PreprocessSpec,
    samples: int,
    steps: int | None,
) -> Tensor:
    """Return float32 `[N K, 3, H, W]`: each chip's K pseudo-SAR pictures as encoder input."""
    size = (translator.height, translator.width)
    conditions = np.stack([bridge_picture(store.picture(int(row)), *size) for row in rows])
    pictures = sample_many(
        translator.module,
        torch.from_numpy(conditions),
        translator.table(steps),
        int(rows[0]),
        samples,
    )
    grey = pictures.reshape(-1, *size)  # [N, K, h, w] -> [N K, h, w]
    pixels = [picture_to_pixels(picture, Modality.SAR, spec) for picture in grey]
    return torch.from_numpy(np.stack(pixels))


@torch.inference_mode()
def _encode(encoder: nn.Module, pixels: Tensor, sizes: Tensor, modality: Modality) -> Features:
    """Return features float32 `[N, D]`."""
    ids = torch.full((len(pixels),), MODALITY_IDS[modality])
    return np.asarray(encoder(pixels, ids, sizes).numpy(), np.float32)


def as_markdown(choice: FusionChoice) -> str:
    """Format the sweep as a table, its conclusion, and the options for `crossfix-export bundle`."""
    o2s, s2o = choice.without
    lines = [
        "| alpha | K | O2S mAP | S2O mAP | gain |",
        "|---|---|---|---|---|",
        f"| none | – | {o2s} | {s2o} | – |",
        *(
            f"| {trial.alpha:g} | {trial.samples} | {trial.o2s} | {trial.s2o} | {trial.gain} |"
            for trial in choice.trials
        ),
    ]
    spec = choice.spec
    verdict = "" if choice.helps else "no fusion, "
    options = f"Choice: {verdict}--samples {spec.samples} --alpha {spec.alpha:g}"
    return "\n".join([*lines, "", choice.sentence, options])
