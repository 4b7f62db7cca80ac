"""Compute the features of the early layers of a lite encoder once, for the training of the others.

The layers up to stride 8 take two thirds of the forward time of the lite encoder. Where they keep
the weights of an earlier run, their features are computed once and stored: a step then costs a
quarter, so that batches can be larger and look-alikes can be searched with the present encoder.
Each chip is augmented once, when its features are computed.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from model_training.data.cache import PictureStore, require_settings
from model_training.encoder.batches import Batch, training_batch
from model_training.encoder.lite import FINE_CHANNELS, FINE_STRIDE, LiteEncoder
from model_training.encoder.stores import locked
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.seeds import step_generator

_SHIPS = 100
"""Ships whose chips are prepared together."""
_SLICE = 32
"""Chips that pass the layers together: their features fit the cache of a core."""


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """The features of all chips of a store, mapped from disk.

    Attributes:
        features: float16 `[N, C, H / 8, W / 8]`, of the early layers.
        size: float32 `[N, 3]`, the size tokens.
        layout: float16 `[N, channels, positions]`, position 0 at the top of the chip, or None.
    """

    chips: PictureStore
    features: NDArray[np.float16]
    size: NDArray[np.float32]
    layout: NDArray[np.float16] | None

    def batch(self, rows: Sequence[int]) -> Batch:
        """Return the features of chips as a batch, in the place of pixels."""
        chosen = np.asarray(rows)
        layout = None if self.layout is None else torch.from_numpy(self.layout[chosen]).float()
        return Batch(
            pixels=torch.from_numpy(self.features[chosen]).float(),
            modality=torch.from_numpy(self.chips.chips["modality"][chosen].astype(np.int64)),
            size=torch.from_numpy(self.size[chosen]),
            vessel=torch.from_numpy(self.chips.vessel_row[chosen].astype(np.int64)),
            layout=layout,
        )


def prepare_features(
    encoder: LiteEncoder, store: PictureStore, digest: str, config: EncoderTrainConfig
) -> FeatureStore:
    """Open the features of a store; compute them if the folder of the config has none.

    Args:
        encoder: with the weights of `config.initial`.
        config: of the run; `early_features`, `initial` and the augmentation are used.

    Raises:
        StoreError: the folder has features of other chips, weights or settings.
    """
    assert config.early_features is not None
    assert config.initial is not None
    folder = config.early_features.folder
    with locked(folder):
        require_settings(
            folder / "features.json",
            {
                "chips": digest,
                "initial": hashlib.sha256(config.initial.read_bytes()).hexdigest(),
                "augment": config.augment.model_dump(mode="json"),
                "preprocess": config.encoder.preprocess.model_dump(mode="json"),
                "seed": config.run.seed,
                "precision": config.run.precision,
            },
        )
        complete = folder / "complete"
        if not complete.exists():
            partial = folder / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            _compute(encoder, store, config, partial)
            partial.rename(complete)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in complete.glob("*.npy")}
    return FeatureStore(store, arrays["features"], arrays["size"], arrays.get("layout"))


class _Blocks(Dataset[tuple[NDArray[np.int64], Batch]]):
    """The augmented chips of 100 ships each, with their rows."""

    def __init__(self, store: PictureStore, config: EncoderTrainConfig) -> None:
        self.store, self.config = store, config

    def __len__(self) -> int:
        return -(-len(self.store.vessels) // _SHIPS)

    def __getitem__(self, block: int) -> tuple[NDArray[np.int64], Batch]:
        if block >= len(self):
            raise IndexError(block)
        rows = np.flatnonzero(self.store.vessel_row // _SHIPS == block)
        generator = step_generator(self.config.run.seed, block)
        spec, augment = self.config.encoder.preprocess, self.config.augment
        return rows, training_batch(self.store, rows.tolist(), spec, augment, generator)


def _compute(
    encoder: LiteEncoder, store: PictureStore, config: EncoderTrainConfig, folder: Path
) -> None:
    """Write the arrays of a `FeatureStore`; another process prepares the chips meanwhile."""
    device = next(encoder.parameters()).device
    arrays: dict[str, NDArray[np.generic]] = {}
    blocks = DataLoader(_Blocks(store, config), batch_size=None, num_workers=1)
    for rows, batch in tqdm(blocks, desc="early layers", unit="block"):
        with torch.autocast(
            device.type, torch.bfloat16, enabled=config.run.precision == "bfloat16"
        ):
            features = early_features(encoder, batch.pixels.to(device), batch.modality.to(device))
        parts = {"features": features.to("cpu", torch.float16), "size": batch.size}
        if batch.layout is not None:
            parts["layout"] = batch.layout.half()
        for name, part in parts.items():
            if name not in arrays:
                arrays[name] = np.lib.format.open_memmap(
                    folder / f"{name}.npy", "w+", part.numpy().dtype, (len(store), *part.shape[1:])
                )
            arrays[name][rows] = part.numpy()


@torch.no_grad()
def early_features(encoder: LiteEncoder, pixels: Tensor, modality: Tensor) -> Tensor:
    """Return the features of the early layers, float32 `[N, C, H / 8, W / 8]`.

    The layers are evaluated as in serving, with the batch statistics that they have learnt.
    """
    height, width = pixels.shape[2] // FINE_STRIDE, pixels.shape[3] // FINE_STRIDE
    features = pixels.new_empty(len(pixels), FINE_CHANNELS, height, width)
    for sensor, stem in enumerate(encoder.sensor_stems()):
        network = stem.network.eval()
        of_sensor = (modality == sensor).nonzero()[:, 0]
        for start in range(0, len(of_sensor), _SLICE):
            rows = of_sensor[start : start + _SLICE]
            some = pixels[rows].contiguous(memory_format=torch.channels_last)
            features[rows] = network.early(some).float()
    return features


def freeze_early_layers(encoder: LiteEncoder) -> None:
    """Keep the optimiser from changing the weights of the early layers."""
    for part in encoder.sensor_stems():
        for layer in (part.network.stem, part.network.fine):
            layer.requires_grad_(requires_grad=False)
