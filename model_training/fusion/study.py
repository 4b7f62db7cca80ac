"""Measure fusion for an encoder and a translator on validation ships.

    python -m model_training.fusion.study ENCODER.pt TRANSLATOR.pt --samples 1 5

Several encoders, ENCODER.pt ... TRANSLATOR.pt, are used as one. The ships are those that the
(first) encoder's own run validated on; the others and the translator have to be taught on the same
data, so that they have not seen them either.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_training.data.cache import MODALITY_IDS, PictureStore, StoreError
from model_training.data.hoss import DatasetError
from model_training.data.transforms import Sample, plain_sample
from model_training.encoder.loading import EncoderLoadError, load_encoders
from model_training.encoder.stores import open_stores
from model_training.fusion.selection import (
    ALPHAS,
    FusionChoice,
    ValidationFeatures,
    choose_fusion,
    require_sweep,
)
from model_training.translator.diffusion import sample_many
from model_training.translator.train import LoadedTranslator, load_translator
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
) -> ValidationFeatures:
    """Encode every chip of a store, and K pseudo-SAR pictures of every optical chip.

    Args:
        encoder: pixels `[N, 3, H, W]`, modality `[N]`, size `[N, 3]` -> `[N, D]`, in eval mode.
        spec: how the encoder's input is made.
        translator: the translator.
        store: chips of ships that neither was taught.
        samples: K.
        steps: of the sampler; None takes those that the translator was taught for.
    """
    vessels = store.vessels[store.vessel_row]
    optical, sar = (
        np.flatnonzero(store.chips["modality"] == MODALITY_IDS[modality])
        for modality in (Modality.OPTICAL, Modality.SAR)
    )
    seen: dict[Modality, list[Features]] = {modality: [] for modality in Modality}
    imagined = []
    for rows, modality in ((optical, Modality.OPTICAL), (sar, Modality.SAR)):
        for part in np.split(rows, range(BATCH, len(rows), BATCH)):
            inputs = [_plain(store, int(row), spec) for row in part]
            pixels = np.stack([item.pixels for item in inputs])
            sizes = np.stack([item.size for item in inputs])
            seen[modality].append(_encode(encoder, pixels, sizes, modality))
            if modality is Modality.OPTICAL:
                pseudo = _pseudo_sar(translator, store, part, spec, samples, steps)
                sizes = np.repeat(sizes, samples, axis=0)
                encoded = _encode(encoder, pseudo, sizes, Modality.SAR)
                imagined.append(encoded.reshape(len(part), samples, -1))
    return ValidationFeatures(
        optical=np.concatenate(seen[Modality.OPTICAL]),
        pseudo_sar=np.concatenate(imagined),
        optical_ids=vessels[optical],
        sar=np.concatenate(seen[Modality.SAR]),
        sar_ids=vessels[sar],
    )


def _plain(store: PictureStore, row: int, spec: PreprocessSpec) -> Sample:
    gsd_m = float(store.chips["gsd_m"][row])
    return plain_sample(store.picture(row), store.modality(row), gsd_m, spec)


def _pseudo_sar(
    translator: LoadedTranslator,
    store: PictureStore,
    rows: NDArray[np.int64],
    spec: PreprocessSpec,
    samples: int,
    steps: int | None,
) -> Features:
    """float32 `[N K, 3, H, W]`: pseudo-SAR pictures as the encoder takes SAR, chip by chip."""
    size = (translator.height, translator.width)
    conditions = np.stack([bridge_picture(store.picture(int(row)), *size) for row in rows])
    table = translator.config.bridge.table(steps)
    pictures = sample_many(
        translator.module, torch.from_numpy(conditions), table, int(rows[0]), samples
    )
    grey = np.repeat(pictures.reshape(-1, *size, 1), 3, axis=3)
    return np.stack([picture_to_pixels(picture, Modality.SAR, spec) for picture in grey])


@torch.inference_mode()
def _encode(encoder: nn.Module, pixels: Features, sizes: Features, modality: Modality) -> Features:
    """float32 `[N, D]`."""
    ids = torch.full((len(pixels),), MODALITY_IDS[modality])
    vectors = encoder(torch.from_numpy(pixels), ids, torch.from_numpy(sizes))
    return np.asarray(vectors.numpy(), np.float32)


def as_markdown(choice: FusionChoice) -> str:
    """The sweep as a table, its conclusion, and what to tell `crossfix-export bundle`."""
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
    told = f"Choice: --samples {spec.samples} --alpha {spec.alpha:g}"
    if not choice.helps:
        told = f"Choice: no fusion, {told.removeprefix('Choice: ')}"
    return "\n".join([*lines, "", choice.sentence, told])


def as_json(choice: FusionChoice) -> dict[str, Any]:
    """The sweep in per cent of mAP, and what `crossfix-export bundle` is to be told."""
    o2s, s2o = choice.without
    return {
        "without": {"o2s": asdict(o2s), "s2o": asdict(s2o)},
        "trials": [asdict(trial) for trial in choice.trials],
        "choice": choice.spec.model_dump(),
        "sentence": choice.sentence,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Sweep and print."""
    parser = argparse.ArgumentParser(
        prog="python -m model_training.fusion.study",
        description="Measure fusion on validation ships.",
    )
    parser.add_argument("encoder", type=Path, nargs="+", help="checkpoints; several act as one")
    parser.add_argument("translator", type=Path, help="checkpoint of the translator")
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS))
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 5], help="values of K")
    parser.add_argument("--steps", type=int, help="of the sampler; default: as it was taught for")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the sweep and the choice there too (JSON)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    try:
        require_sweep(given.alphas, given.samples)
        encoders, translator = load_encoders(given.encoder), load_translator(given.translator)
        store = open_stores(encoders.members[0].training.data, encoders.preprocess).validation
    except (EncoderLoadError, StoreError, DatasetError, OSError, ValueError) as error:
        parser.error(str(error))
    print(
        f"{store.vessels.size} validation ships, encoders: {len(encoders.members)}, "
        f"translator steps: {given.steps or translator.steps}\n",
        flush=True,
    )
    features = validation_features(
        encoders.module, encoders.preprocess, translator, store, max(given.samples), given.steps
    )
    choice = choose_fusion(features, given.alphas, given.samples)
    print(as_markdown(choice))
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(as_json(choice), indent=2) + "\n")


if __name__ == "__main__":
    main()
