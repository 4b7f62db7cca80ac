"""Optical and SAR pictures of the same vessels, small enough to be held in memory together.

Pictures enter as they enter the service: denoised and upright from the store, then the bridge's
own resize. Drawing is a pure function of the generator, so a resumed run sees the same batches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model_training.data.cache import MODALITY_IDS, PictureStore
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, draw_times
from service.contract.chip import Modality
from service.contract.preprocess import Picture
from service.contract.translation import bridge_picture, bridge_start


@dataclass(frozen=True, slots=True)
class PairedViews:
    """Views of vessels by both sensors; any optical view pairs with any SAR view of its vessel.

    Attributes:
        optical: uint8 `[A, h, w, 3]`.
        optical_vessel: int64 `[A]`.
        sar: uint8 `[B, h, w, 3]`, denoised, grey in three channels.
        sar_vessel: int64 `[B]`.

    Raises:
        ValueError: the arrays do not fit, or a vessel is seen by one sensor only.
    """

    optical: Picture
    optical_vessel: NDArray[np.int64]
    sar: Picture
    sar_vessel: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.optical.shape[1:] != self.sar.shape[1:] or self.optical.ndim != 4:
            raise ValueError(f"pictures differ in shape: {self.optical.shape} and {self.sar.shape}")
        if len(self.optical) != len(self.optical_vessel) or len(self.sar) != len(self.sar_vessel):
            raise ValueError("every picture needs the number of its vessel")
        lonely = np.setxor1d(self.optical_vessel, self.sar_vessel)
        if lonely.size or not len(self.optical):
            raise ValueError(
                f"{lonely.size} of the vessels are seen by one sensor only, and "
                f"{len(self.optical)} optical pictures are there; pairs need both sensors"
            )

    @property
    def vessels(self) -> NDArray[np.int64]:
        """int64, sorted, each vessel once."""
        return np.unique(self.optical_vessel)

    def only(self, vessels: NDArray[np.int64]) -> "PairedViews":
        """The views of some vessels."""
        a, b = np.isin(self.optical_vessel, vessels), np.isin(self.sar_vessel, vessels)
        return PairedViews(self.optical[a], self.optical_vessel[a], self.sar[b], self.sar_vessel[b])


def views_of_store(store: PictureStore, height: int, width: int) -> PairedViews:
    """All chips of a store at the bridge's size; vessels seen by one sensor only are left out.

    Training chips of a simulated store all lie the same way, and co-registered pairs agree by
    themselves. HOSS files do not tell where the bow points, so there half of the pairs are turned
    against each other.

    Args:
        store: decoded, denoised chips.
        height: of the bridge's pictures.
        width: of the bridge's pictures.

    Raises:
        ValueError: no vessel is seen by both sensors.
    """
    vessels = store.vessels[store.vessel_row]
    rows = {
        modality: np.flatnonzero(store.chips["modality"] == number)
        for modality, number in MODALITY_IDS.items()
    }
    both = np.intersect1d(vessels[rows[Modality.OPTICAL]], vessels[rows[Modality.SAR]])
    if not both.size:
        raise ValueError("no vessel is seen by both sensors, so there is nothing to translate")
    optical, sar = (kept[np.isin(vessels[kept], both)] for kept in rows.values())
    return PairedViews(
        optical=np.stack([resized(store.picture(row), height, width) for row in optical]),
        optical_vessel=vessels[optical],
        sar=np.stack([resized(store.picture(row), height, width) for row in sar]),
        sar_vessel=vessels[sar],
    )


def resized(picture: Picture, height: int, width: int) -> Picture:
    """uint8 `[height, width, 3]` as the bridge sees a picture, before scaling to -1..1."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def draw_batch(
    views: PairedViews, bridge: BridgeConfig, channels: int, count: int, rng: np.random.Generator
) -> BridgeBatch:
    """Pairs of random vessels, each turned and mirrored at random (both pictures alike).

    Args:
        views: where to draw from.
        bridge: decides the times.
        channels: C of the bridge.
        count: N.
        rng: of every draw.
    """
    chosen = rng.choice(views.vessels, count)
    optical = np.stack([views.optical[_one_of(views.optical_vessel, v, rng)] for v in chosen])
    sar = np.stack([views.sar[_one_of(views.sar_vessel, v, rng)] for v in chosen])
    for axis in (1, 2):  # bow up or down, port or starboard
        flipped = rng.random(count) < 0.5
        optical[flipped] = np.flip(optical[flipped], axis)
        sar[flipped] = np.flip(sar[flipped], axis)
    condition, target = signed(optical), signed(sar)
    x0 = target[:, :1] if channels == 1 else target
    noise = rng.standard_normal(x0.shape, np.float32)
    return BridgeBatch(
        condition=torch.from_numpy(condition),
        y=torch.from_numpy(bridge_start(condition, channels)),
        x0=torch.from_numpy(np.ascontiguousarray(x0)),
        t=torch.from_numpy(draw_times(bridge, count, rng)),
        noise=torch.from_numpy(noise),
    )


def signed(pictures: Picture) -> NDArray[np.float32]:
    """uint8 `[N, h, w, 3]` -> float32 `[N, 3, h, w]`, -1..1, by the contract's own scaling."""
    height, width = pictures.shape[1:3]
    return np.stack([bridge_picture(picture, height, width) for picture in pictures])


def _one_of(vessels: NDArray[np.int64], vessel: int, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(vessels == vessel)))
