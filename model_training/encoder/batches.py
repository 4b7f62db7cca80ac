"""Make tensors of stored chips: augmented training batches and plain validation batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_training.data.cache import PictureStore
from model_training.data.transforms import (
    AugmentConfig,
    Pose,
    Sample,
    augmented_sample,
    plain_sample,
)
from service.contract.manifest import PreprocessSpec

PLAIN_BATCH = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """The encoder's input for N chips, with their labels.

    Attributes:
        pixels: float32 `[N, 3, H, W]`.
        modality: int64 `[N]`, 0 optical, 1 SAR.
        size: float32 `[N, 3]`.
        vessel: int64 `[N]`, row of the ship in the store.
        layout: float32 `[N, channels, positions]`, position 0 at the top of the chip, or None.
    """

    pixels: Tensor
    modality: Tensor
    size: Tensor
    vessel: Tensor
    layout: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(
            self.pixels.to(device),
            self.modality.to(device),
            self.size.to(device),
            self.vessel.to(device),
            None if self.layout is None else self.layout.to(device),
        )


def join_pairs(first: Batch, second: Batch) -> Batch:
    """Join two batches of pairs, N optical then N SAR rows each, into one of the same order.

    Ships of the second are numbered after those of the first; layouts are dropped.
    """
    halves = [half for parts in zip(_halves(first), _halves(second), strict=True) for half in parts]
    after = int(first.vessel.max()) + 1
    vessels = [first.vessel.chunk(2), (second.vessel + after).chunk(2)]
    return Batch(
        pixels=torch.cat([half.pixels for half in halves]),
        modality=torch.cat([half.modality for half in halves]),
        size=torch.cat([half.size for half in halves]),
        vessel=torch.cat([part for parts in zip(*vessels, strict=True) for part in parts]),
    )


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    parts = zip(
        *(tensor.chunk(2) for tensor in (batch.pixels, batch.modality, batch.size, batch.vessel)),
        strict=True,
    )
    optical, sar = (Batch(*tensors) for tensors in parts)
    return optical, sar


def training_batch(
    store: PictureStore,
    rows: Sequence[int],
    spec: PreprocessSpec,
    augment: AugmentConfig,
    generator: np.random.Generator,
) -> Batch:
    """Augment chips; all chips of one ship share mirror and half turn."""
    poses: dict[int, Pose] = {}
    samples = []
    for row in rows:
        vessel = int(store.vessel_row[row])
        if vessel not in poses:
            poses[vessel] = Pose.draw(generator, augment.geometry)
        samples.append(
            augmented_sample(
                store.picture(row),
                store.modality(row),
                float(store.chips["gsd_m"][row]),
                spec,
                augment,
                poses[vessel],
                generator,
            )
        )
    return _collate(store, rows, samples)


def plain_batches(store: PictureStore, spec: PreprocessSpec) -> Iterator[tuple[range, Batch]]:
    """Yield all chips of a store as serving prepares them, with their rows."""
    for start in range(0, len(store), PLAIN_BATCH):
        rows = range(start, min(start + PLAIN_BATCH, len(store)))
        yield rows, plain_batch(store, rows, spec)


def plain_batch(store: PictureStore, rows: Sequence[int], spec: PreprocessSpec) -> Batch:
    """Prepare chips as serving does."""
    samples = [
        plain_sample(
            store.picture(row), store.modality(row), float(store.chips["gsd_m"][row]), spec
        )
        for row in rows
    ]
    return _collate(store, rows, samples)


def _collate(store: PictureStore, rows: Sequence[int], samples: Sequence[Sample]) -> Batch:
    chosen = np.asarray(rows)
    vessels = store.vessel_row[chosen]
    layout = None
    if store.layouts is not None:
        upright = store.layouts[vessels].astype(np.float32)  # [N, channels, positions]
        turned = np.array([sample.turned for sample in samples])
        layout = torch.from_numpy(np.where(turned[:, None, None], upright[:, :, ::-1], upright))
    return Batch(
        pixels=torch.from_numpy(np.stack([sample.pixels for sample in samples])),
        modality=torch.from_numpy(store.chips["modality"][chosen].astype(np.int64)),
        size=torch.from_numpy(np.stack([sample.size for sample in samples])),
        vessel=torch.from_numpy(vessels.astype(np.int64)),
        layout=layout,
    )
