"""Store decoded chips on disk for training: native size, uint8, many chips per file.

A store is a folder of shards. Shard n is three files: `n.pictures.npy` (uint8, all pixels end to
end), `n.chips.npy` (one `CHIP` record per chip) and, for simulated ships, `n.layouts.npy` (float16
`[vessels, channels, positions]`, by ascending vessel id) and `n.kinds.npy` (int32 `[vessels, 2]`,
likewise: type and family). `n.chips.npy` is written last and atomically: a shard without it is
incomplete and is ignored.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import Picture, to_picture

MODALITY_IDS = {Modality.OPTICAL: 0, Modality.SAR: 1}
MODALITIES = (Modality.OPTICAL, Modality.SAR)

CHIP = np.dtype(
    [
        ("offset", np.int64),
        ("height", np.int32),
        ("width", np.int32),
        ("channels", np.int8),
        ("modality", np.int8),
        ("gsd_m", np.float32),
        ("vessel", np.int64),
    ]
)
Records = NDArray[np.void]


class StoreError(Exception):
    """A store is missing, empty, or holds chips of other settings."""


@dataclass(frozen=True, slots=True)
class CachedChip:
    """A chip to be stored: the encoder's picture before resizing.

    Attributes:
        picture: uint8 `[H, W, 3]`, upright; SAR denoised, its three channels equal.
    """

    picture: Picture
    modality: Modality
    gsd_m: float
    vessel: int

    @classmethod
    def of(cls, chip: Chip, vessel: int, spec: PreprocessSpec) -> "CachedChip":
        """Denoise a chip and turn it upright with the serving code."""
        return cls(to_picture(chip, spec), chip.modality, chip.gsd_m, vessel)


def require_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Record the settings of a new store, or refuse a store that has other settings.

    Args:
        file: the JSON file of the settings, in the store's folder.
        settings: every setting on which the stored chips depend.

    Raises:
        StoreError: the file records other settings; names them.
    """
    text = json.dumps(settings, sort_keys=True, indent=1)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(file)
        return
    recorded, wanted = json.loads(file.read_text()), json.loads(text)
    if recorded != wanted:
        keys = sorted(recorded.keys() | wanted.keys())
        different = [key for key in keys if recorded.get(key) != wanted.get(key)]
        raise StoreError(
            f"{file.parent} holds chips of other settings ({', '.join(different)} differ from its "
            f"{file.name}); choose another folder or remove it"
        )


def write_shard(
    folder: Path,
    number: int,
    chips: Sequence[CachedChip],
    layouts: NDArray[np.float16] | None = None,
    kinds: NDArray[np.int32] | None = None,
) -> None:
    """Write one shard; SAR is stored as one channel.

    Args:
        layouts: float16 `[V, channels, positions]`, by ascending vessel id.
        kinds: int32 `[V, 2]`, likewise: number of the ship type, and of the family of sisters, -1
            where there are none.

    Raises:
        ValueError: `layouts` or `kinds` does not have one row per vessel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = np.zeros(len(chips), CHIP)
    flat = []
    offset = 0
    for row, chip in enumerate(chips):
        sar = chip.modality is Modality.SAR
        pixels = chip.picture[:, :, :1] if sar else chip.picture
        records[row] = (offset, *pixels.shape, MODALITY_IDS[chip.modality], chip.gsd_m, chip.vessel)
        flat.append(pixels.ravel())
        offset += pixels.size
    vessels = len(np.unique(records["vessel"]))
    for name, known in (("layouts", layouts), ("kinds", kinds)):
        if known is not None and len(known) != vessels:
            raise ValueError(f"{len(known)} {name} for {vessels} vessels")
    np.save(folder / f"{number:05d}.pictures.npy", np.concatenate(flat))
    if layouts is not None:
        np.save(folder / f"{number:05d}.layouts.npy", layouts.astype(np.float16))
    if kinds is not None:
        np.save(folder / f"{number:05d}.kinds.npy", kinds.astype(np.int32))
    partial = folder / f"{number:05d}.partial"
    with partial.open("wb") as file:
        np.save(file, records)
    partial.replace(folder / f"{number:05d}.chips.npy")


def shard_numbers(folder: Path) -> list[int]:
    """Return the numbers of a folder's complete shards, ascending."""
    return sorted(int(path.name[:5]) for path in folder.glob("[0-9]*.chips.npy"))


class PictureStore:
    """Read access to shards; pictures are mapped from disk.

    Attributes:
        chips: `CHIP` records `[N]`, with offsets inside their own shard.
        shard: int32 `[N]`, index of each chip's shard.
        vessels: int64 `[V]`, ascending ids.
        vessel_row: int64 `[N]`, index of each chip's vessel in `vessels`.
        layouts: float16 `[V, channels, positions]`, or None.
        kinds: int32 `[V, 2]`, type and family (-1: none), or None.
    """

    def __init__(self, folder: Path, shards: Sequence[int]) -> None:
        missing = sorted(set(shards) - set(shard_numbers(folder)))
        if missing or not shards:
            raise StoreError(
                f"{folder} lacks shards {missing}" if missing else f"no shards of {folder} named"
            )
        records, places, layouts, kinds, vessels = [], [], [], [], []
        self._pictures = []
        for place, number in enumerate(shards):
            part = np.load(folder / f"{number:05d}.chips.npy")
            records.append(part)
            places.append(np.full(len(part), place, np.int32))
            vessels.append(np.unique(part["vessel"]))
            self._pictures.append(np.load(folder / f"{number:05d}.pictures.npy", mmap_mode="r"))
            layout = folder / f"{number:05d}.layouts.npy"
            if layout.exists():
                layouts.append(np.load(layout))
            kind = folder / f"{number:05d}.kinds.npy"
            if kind.exists():
                kinds.append(np.load(kind))
        self.chips: Records = np.concatenate(records)
        self.shard = np.concatenate(places)
        named = np.concatenate(vessels)
        if len(np.unique(named)) != len(named):
            raise StoreError(f"{folder}: a vessel's chips lie in more than one shard")
        order = np.argsort(named)
        self.vessels: NDArray[np.int64] = named[order]
        self.vessel_row = np.searchsorted(self.vessels, self.chips["vessel"])
        self.layouts: NDArray[np.float16] | None = (
            np.concatenate(layouts)[order] if len(layouts) == len(shards) else None
        )
        self.kinds: NDArray[np.int32] | None = (
            np.concatenate(kinds)[order] if len(kinds) == len(shards) else None
        )

    def __len__(self) -> int:
        return len(self.chips)

    def picture(self, row: int) -> Picture:
        """Return a chip's picture, uint8 `[H, W, 3]`, read-only if it is optical."""
        chip = self.chips[row]
        shape = (int(chip["height"]), int(chip["width"]), int(chip["channels"]))
        start = int(chip["offset"])
        flat = self._pictures[self.shard[row]][start : start + shape[0] * shape[1] * shape[2]]
        pixels = np.asarray(flat).reshape(shape)  # [H, W, 3] or, for SAR, [H, W, 1]
        return pixels if shape[2] == 3 else np.repeat(pixels, 3, axis=2)

    def modality(self, row: int) -> Modality:
        """Return the sensor of a chip."""
        return MODALITIES[int(self.chips["modality"][row])]

    def rows_by_vessel(self, modality: Modality) -> list[NDArray[np.int64]]:
        """Return for every vessel the rows, possibly none, of its chips of one sensor."""
        rows = np.flatnonzero(self.chips["modality"] == MODALITY_IDS[modality])
        rows = rows[np.argsort(self.vessel_row[rows], kind="stable")]
        ends = np.searchsorted(self.vessel_row[rows], np.arange(1, len(self.vessels)))
        return [np.asarray(part, np.int64) for part in np.split(rows, ends)]

    def vessel_length_m(self) -> NDArray[np.float64]:
        """Return float64 `[V]`, the mean length of each vessel's chips in metres."""
        lengths = self.chips["height"] * self.chips["gsd_m"].astype(np.float64)
        counts = np.bincount(self.vessel_row, minlength=len(self.vessels))
        return np.bincount(self.vessel_row, lengths, len(self.vessels)) / counts

    def digest(self) -> str:
        """Return the SHA-256 of all records and pictures, in order."""
        hasher = hashlib.sha256(self.chips.tobytes())
        for pictures in self._pictures:
            hasher.update(np.ascontiguousarray(pictures).data)
        return hasher.hexdigest()
