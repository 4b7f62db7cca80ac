"""Hold optical and SAR pictures of the same vessels in memory, and draw training batches.

Pictures are prepared as in the service: denoised and upright from the store, then resized for the
bridge. A batch is a pure function of the generator, so a resumed run gets the same batches.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model_training.data.cache import MODALITY_IDS, PictureStore
from model_training.data.folder_store import folder_store
from model_training.translator.diffusion import BridgeBatch, BridgeConfig, draw_times
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import Picture
from service.contract.translation import bridge_picture, bridge_start

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, pixels."""


@dataclass(frozen=True, slots=True)
class PairedViews:
    """Views of vessels by both sensors; any optical view pairs with any SAR view of its vessel.

    Attributes:
        optical: uint8 `[A, h, w, 3]`.
        optical_vessel: int64 `[A]`.
        sar: uint8 `[B, h, w, 3]`, denoised, grey in three channels.
        sar_vessel: int64 `[B]`.

    Raises:
        ValueError: the shapes do not agree, or a vessel has views of one sensor only.
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
        unpaired = np.setxor1d(self.optical_vessel, self.sar_vessel)
        if unpaired.size or not len(self.optical):
            raise ValueError(
                f"{unpaired.size} of the vessels are seen by one sensor only, and "
                f"{len(self.optical)} optical pictures are there; pairs need both sensors"
            )

    @property
    def vessels(self) -> NDArray[np.int64]:
        """Return the vessels, int64, ascending, each once."""
        return np.unique(self.optical_vessel)

    def only(self, vessels: NDArray[np.int64]) -> "PairedViews":
        """Return the views of these vessels."""
        optical, sar = np.isin(self.optical_vessel, vessels), np.isin(self.sar_vessel, vessels)
        return PairedViews(
            self.optical[optical], self.optical_vessel[optical], self.sar[sar], self.sar_vessel[sar]
        )


def views_of_store(store: PictureStore, height: int, width: int) -> PairedViews:
    """Resize all chips of a store for the bridge, leaving out vessels seen by one sensor only.

    In a simulated training store all bows point down, and co-registered pairs agree by
    construction. HOSS files do not record where the bow points, so half of their pairs show the
    bow on opposite sides.

    Args:
        store: decoded, denoised chips.

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
    optical, sar = (of_sensor[np.isin(vessels[of_sensor], both)] for of_sensor in rows.values())
    return PairedViews(
        optical=np.stack([resized(store.picture(row), height, width) for row in optical]),
        optical_vessel=vessels[optical],
        sar=np.stack([resized(store.picture(row), height, width) for row in sar]),
        sar_vessel=vessels[sar],
    )


def views_of_folder(folder: Path, spec: PreprocessSpec, height: int, width: int) -> PairedViews:
    """Decode the chips of a folder in HOSS layout, and resize them as `views_of_store` does."""
    with folder_store(folder, spec) as store:
        return views_of_store(store, height, width)


def resized(picture: Picture, height: int, width: int, box: Box | None = None) -> Picture:
    """Resize a picture, or a box of it, for the bridge: uint8 `[height, width, 3]`."""
    image = Image.fromarray(picture)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box))


def _random_box(height: int, width: int, zoom: float, rng: np.random.Generator) -> Box:
    """Draw a box whose sides are up to `zoom` shorter than those of a picture, anywhere in it."""
    (top, left), (rows, columns) = rng.random(2), 1.0 - zoom * rng.random(2)
    top, left = top * (1.0 - rows) * height, left * (1.0 - columns) * width
    return left, top, left + columns * width, top + rows * height


def draw_batch(
    views: PairedViews,
    bridge: BridgeConfig,
    channels: int,
    count: int,
    rng: np.random.Generator,
    zoom: float = 0.0,
) -> BridgeBatch:
    """Draw pairs of random vessels, turning, mirroring and cutting both pictures of a pair alike.

    Args:
        channels: C, channels of the bridge, 1 or 3.
        count: N, number of pairs.
        zoom: largest share of each side that is cut off; what remains is stretched.
    """
    chosen = rng.choice(views.vessels, count)
    optical = np.stack([views.optical[_one_of(views.optical_vessel, v, rng)] for v in chosen])
    sar = np.stack([views.sar[_one_of(views.sar_vessel, v, rng)] for v in chosen])
    for axis in (1, 2):  # of [N, h, w, 3]: bow up or down, port or starboard
        flipped = rng.random(count) < 0.5
        optical[flipped] = np.flip(optical[flipped], axis)
        sar[flipped] = np.flip(sar[flipped], axis)
    if zoom:
        height, width = optical.shape[1:3]
        boxes = [_random_box(height, width, zoom, rng) for _ in chosen]
        optical, sar = (
            np.stack([resized(p, height, width, box) for p, box in zip(part, boxes, strict=True)])
            for part in (optical, sar)
        )
    condition, target = signed(optical), signed(sar)
    x0 = target[:, :1] if channels == 1 else target  # [N, C, h, w]
    noise = rng.standard_normal(x0.shape, np.float32)
    return BridgeBatch(
        condition=torch.from_numpy(condition),
        y=torch.from_numpy(bridge_start(condition, channels)),
        x0=torch.from_numpy(np.ascontiguousarray(x0)),
        t=torch.from_numpy(draw_times(bridge, count, rng)),
        noise=torch.from_numpy(noise),
    )


def signed(pictures: Picture) -> NDArray[np.float32]:
    """Scale uint8 `[N, h, w, 3]` to float32 `[N, 3, h, w]`, -1..1, as the contract does."""
    height, width = pictures.shape[1:3]
    return np.stack([bridge_picture(picture, height, width) for picture in pictures])


def _one_of(vessels: NDArray[np.int64], vessel: int, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(vessels == vessel)))
