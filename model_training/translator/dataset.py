"""Optical and SAR pictures of the same vessels, small enough to be held in memory together.

Pictures enter the way they enter the service: `contract.preprocess.to_picture`, then the bridge's
resize. Drawing is a pure function of the generator, so a resumed run sees the same batches.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model_training.data.hoss import LabelledChip
from model_training.data.pairs import ChipPair
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, draw_times
from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import Picture, to_picture
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

    def digest(self) -> str:
        """SHA-256 of all pictures and numbers."""
        digest = hashlib.sha256()
        for part in (self.optical, self.optical_vessel, self.sar, self.sar_vessel):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write an `.npz`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            optical=self.optical,
            optical_vessel=self.optical_vessel,
            sar=self.sar,
            sar_vessel=self.sar_vessel,
        )

    @classmethod
    def load(cls, path: Path) -> "PairedViews":
        """Read what `save` wrote."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in cls.__dataclass_fields__})


def split_vessels(views: PairedViews, share: float, seed: int) -> tuple[PairedViews, PairedViews]:
    """Training and validation views with no vessel in common.

    Args:
        views: at least two vessels.
        share: of the vessels that validate; at least one does.
        seed: of the draw.
    """
    vessels = np.random.default_rng(seed).permutation(views.vessels)
    held = max(1, round(share * len(vessels)))
    if held >= len(vessels):
        raise ValueError(f"{len(vessels)} vessels are too few to train and validate")
    return views.only(vessels[held:]), views.only(vessels[:held])


def resized_picture(chip: Chip, height: int, width: int) -> Picture:
    """uint8 `[height, width, 3]`: what the bridge sees of a chip, before scaling to -1..1."""
    image = Image.fromarray(to_picture(chip, PreprocessSpec()))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _gathered(chips: Iterable[tuple[int, Chip]], height: int, width: int) -> PairedViews:
    """Views of (vessel, chip) pairs; vessels seen by one sensor only are left out."""
    pictures: dict[Modality, list[Picture]] = {modality: [] for modality in Modality}
    vessels: dict[Modality, list[int]] = {modality: [] for modality in Modality}
    for vessel, chip in chips:
        pictures[chip.modality].append(resized_picture(chip, height, width))
        vessels[chip.modality].append(vessel)
    both = np.intersect1d(vessels[Modality.OPTICAL], vessels[Modality.SAR])
    if not both.size:
        raise ValueError("no vessel is seen by both sensors, so there is nothing to translate")
    optical_rows = np.isin(vessels[Modality.OPTICAL], both)
    sar_rows = np.isin(vessels[Modality.SAR], both)
    return PairedViews(
        optical=np.stack(pictures[Modality.OPTICAL])[optical_rows],
        optical_vessel=np.array(vessels[Modality.OPTICAL], np.int64)[optical_rows],
        sar=np.stack(pictures[Modality.SAR])[sar_rows],
        sar_vessel=np.array(vessels[Modality.SAR], np.int64)[sar_rows],
    )


def views_of_chips(chips: Iterable[LabelledChip], height: int, width: int) -> PairedViews:
    """Views from a HOSS training folder.

    The files do not tell where the bow points, so both orientations occur in a pair.

    Raises:
        DatasetError: a file is not a usable chip.
        ValueError: no vessel is seen by both sensors.
    """
    return _gathered(((chip.vessel_id, chip.read()) for chip in chips), height, width)


def views_of_pairs(pairs: Iterable[ChipPair], height: int, width: int) -> PairedViews:
    """Views from a folder of co-registered pairs (QXS-SAROPT, OptiSar_Pair); one pair, one vessel.

    Raises:
        DatasetError: a file is not a usable picture.
        ValueError: there are no pairs.
    """
    chips = ((number, chip) for number, pair in enumerate(pairs) for chip in pair.read())
    return _gathered(chips, height, width)


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
