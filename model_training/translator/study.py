"""Measure the quality of pseudo-SAR pictures by steps and K, without retrieval.

The criterion is not whether they look real but whether they distinguish ships: `pair_auc` is the
chance that a vessel's pseudo-SAR resembles its own SAR view more than another vessel's. Pictures
are compared by correlation of pixels. A SAR view counts in the orientation that agrees better,
because the data do not record where the bow points.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model_training.translator.dataset import PairedViews, signed
from model_training.translator.diffusion import BridgeConfig, sample_many
from model_training.translator.unet import BridgeUNet
from service.contract.fusion import l2_normalise

BATCH = 8
"""Optical pictures that are translated together."""


@dataclass(frozen=True, slots=True)
class SamplerQuality:
    """One setting of the sampler.

    Attributes:
        l1: mean absolute difference between a sample and a true SAR view of the vessel in the
            orientation that agrees better, grey levels 0..255; speckle keeps it above zero.
        pair_auc: 0.5 is chance, 1 is perfect.
        milliseconds: per optical picture on this machine and number of threads, measured at the
            largest K and scaled to this K.
    """

    steps: int
    samples: int
    l1: float
    pair_auc: float
    milliseconds: float


def pixel_features(pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Turn grey levels `[N, h, w]` into unit rows `[N, h w]` whose dot product is a correlation."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)  # [N, h, w] -> [N, h w]
    centred = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6), np.float32)


def pair_auc(similarity: NDArray[np.float32]) -> float:
    """Return the chance that row i resembles column i more than column j; ties count one half.

    Args:
        similarity: float32 `[N, N]`, N >= 2.
    """
    own = np.diag(similarity)[:, None]
    others = ~np.eye(len(similarity), dtype=bool)
    wins = (own > similarity) + 0.5 * (own == similarity)
    return float(wins[others].mean())


def half_turned(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn pictures uint8 `[N, h, w]` by 180 degrees."""
    return np.ascontiguousarray(pictures[:, ::-1, ::-1])


def one_view_each(views: PairedViews) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the first optical `[V, h, w, 3]` and the first SAR `[V, h, w]` view of each vessel."""
    _, optical = np.unique(views.optical_vessel, return_index=True)
    _, sar = np.unique(views.sar_vessel, return_index=True)
    return views.optical[optical], views.sar[sar][..., 0]


def reference_auc(views: PairedViews) -> tuple[float, float | None]:
    """Return the `pair_auc` of two references that need no translator.

    Returns:
        That of the optical luminance in place of pseudo-SAR, a lower bound; and that of a second
        SAR view of each vessel, an upper bound, None if a vessel has only one.
    """
    optical, sar = one_view_each(views)
    targets = [pixel_features(sar), pixel_features(half_turned(sar))]

    def auc(pictures: NDArray[np.uint8]) -> float:
        features = pixel_features(pictures)
        return pair_auc(np.maximum(features @ targets[0].T, features @ targets[1].T))

    luminance = np.stack([np.asarray(Image.fromarray(view).convert("L")) for view in optical])
    rows = [np.flatnonzero(views.sar_vessel == vessel) for vessel in views.vessels]
    if min(len(row) for row in rows) < 2:
        return auc(luminance), None
    return auc(luminance), auc(views.sar[[row[1] for row in rows]][..., 0])


def study_sampler(
    unet: BridgeUNet,
    bridge: BridgeConfig,
    views: PairedViews,
    steps: Sequence[int],
    samples: Sequence[int],
) -> list[SamplerQuality]:
    """Measure every combination of steps and K on one optical and one SAR view per vessel.

    Args:
        unet: in eval mode.
        views: vessels that were not trained on, at least two.
        samples: values of K.
    """
    optical, sar = one_view_each(views)
    turned = half_turned(sar)
    targets = [pixel_features(sar), pixel_features(turned)]
    largest = max(samples)
    device = next(unet.parameters()).device
    rows = []
    for count in steps:
        table = bridge.table(count)
        elapsed_s = 0.0
        parts = []
        for start in range(0, len(optical), BATCH):
            conditions = torch.from_numpy(signed(optical[start : start + BATCH])).to(device)
            started = time.perf_counter()
            parts.append(sample_many(unet, conditions, table, start, largest))
            elapsed_s += time.perf_counter() - started
        pictures = np.concatenate(parts)
        # [V, K, h, w] -> [V K, h, w] -> [V K, D] -> [V, K, D]
        features = pixel_features(pictures.reshape(-1, *sar.shape[1:]))
        features = features.reshape(len(sar), largest, -1)
        for k in samples:
            gaps = [  # each [V, K]
                np.abs(pictures[:, :k].astype(np.float32) - true[:, None]).mean(axis=(2, 3))
                for true in (sar, turned)
            ]
            means = l2_normalise(features[:, :k].mean(axis=1))
            similarity = np.maximum(means @ targets[0].T, means @ targets[1].T)
            rows.append(
                SamplerQuality(
                    steps=count,
                    samples=k,
                    l1=float(np.minimum(*gaps).mean()),
                    pair_auc=pair_auc(similarity),
                    milliseconds=1000 * elapsed_s / len(optical) * k / largest,
                )
            )
    return rows
