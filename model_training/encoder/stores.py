"""Prepare the training and validation stores of an encoder run on first use."""

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model_training.data.cache import (
    CachedChip,
    PictureStore,
    StoreError,
    require_settings,
    shard_numbers,
    write_shard,
)
from model_training.data.growing import FleetGrowth
from model_training.data.holdout import HoldoutError, held_out_vessels, lasting_held_out
from model_training.data.hoss import LabelledChip, read_hoss
from model_training.data.pairs import read_pairs
from model_training.data.simulated import FLEET_FILE, prepare_fleet
from model_training.encoder.train_config import (
    ArchiveData,
    BundleData,
    EncoderData,
    PairData,
    SimulatedData,
)
from service.contract.chip import Modality
from service.contract.manifest import PreprocessSpec

_TRAIN, _VALIDATION = 0, 1
ChooseHeldOut = Callable[[Iterable[tuple[int, Modality]], float, int], frozenset[int]]


@dataclass(frozen=True, slots=True)
class Replay:
    """Simulated ships that are mixed into the batches of an archive."""

    train: PictureStore
    validation: PictureStore


@dataclass(frozen=True, slots=True)
class TrainingStores:
    """The training and validation chips of a run; no ship is in both.

    Attributes:
        train: chips of training ships; of a growing fleet, those of the first step.
        validation: chips of validation ships.
        digest: SHA-256 of the training chips; of a growing fleet, that of its settings.
        growth: the growing fleet, or None.
        replay: the simulated ships beside an archive, or None.
    """

    train: PictureStore
    validation: PictureStore
    digest: str
    growth: FleetGrowth | None = None
    replay: Replay | None = None


def open_stores(data: EncoderData, spec: PreprocessSpec) -> TrainingStores:
    """Decode or simulate the chips that the cache lacks, and open it.

    If several processes call this at once, one fills the cache and the others wait. A cache that
    was interrupted while it was filled is filled again.

    Raises:
        StoreError: the cache was filled from another folder or with another split, there are too
            few ships, or the data are those of a bundle.
        DatasetError: a source folder cannot be used.
    """
    if isinstance(data, BundleData):
        raise StoreError(
            "the data of a bundle's encoder are not at hand; name its checkpoint as `initial`, and "
            "other `data`"
        )
    with locked(data.folder if isinstance(data, SimulatedData) else data.cache):
        if isinstance(data, SimulatedData):
            train, validation = prepare_fleet(data, spec)
            if data.initial_vessels is None:
                return TrainingStores(train, validation, train.digest())
            fleet = (data.folder / FLEET_FILE).read_bytes() + str(data.vessels).encode()
            return TrainingStores(
                train, validation, hashlib.sha256(fleet).hexdigest(), FleetGrowth(data)
            )
        settings = data.model_dump(mode="json", exclude={"cache", "replay", "archive_share"})
        settings["denoise_percentile"] = spec.denoise_percentile
        if isinstance(
            data, ArchiveData
        ):  # an archive grows; other folders are published as they are
            settings["chips"] = _list_digest(data.folder)
        require_settings(data.cache / "source.json", settings)
        if shard_numbers(data.cache) != [_TRAIN, _VALIDATION]:
            source = _pair_chips if isinstance(data, PairData) else _hoss_chips
            choose = lasting_held_out if isinstance(data, ArchiveData) else held_out_vessels
            chips = source(data.folder, spec)
            _write_split(data.cache, chips, data.validation_share, data.split_seed, choose)
    train, validation = (PictureStore(data.cache, [part]) for part in (_TRAIN, _VALIDATION))
    if not isinstance(data, ArchiveData):
        return TrainingStores(train, validation, train.digest())
    with locked(data.replay.folder):
        replay = Replay(*prepare_fleet(data.replay, spec))
    both = f"{train.digest()} {replay.train.digest()}".encode()
    return TrainingStores(train, validation, hashlib.sha256(both).hexdigest(), replay=replay)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes of this machine; the kernel unlocks it on exit."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _list_digest(folder: Path) -> str:
    """Return a hash of the names and sizes of a folder's training chips."""
    chips = [(chip.path.name, chip.path.stat().st_size) for chip in read_hoss(folder).train]
    return hashlib.sha256(repr(chips).encode()).hexdigest()


def _hoss_chips(folder: Path, spec: PreprocessSpec) -> list[CachedChip]:
    """Decode the training chips of a HOSS folder."""
    chips: Sequence[LabelledChip] = read_hoss(folder).train
    if not chips:
        raise StoreError(f"{folder} has no bounding_box_train/ to learn from")
    return [
        CachedChip.of(chip.read(), chip.vessel_id, spec)
        for chip in tqdm(chips, desc="decode", unit="chip")
    ]


def _pair_chips(folder: Path, spec: PreprocessSpec) -> list[CachedChip]:
    """Decode every picture of a pair folder once; a scene counts as a vessel."""
    pairs = read_pairs(folder)
    scenes = {scene: number for number, scene in enumerate(sorted({p.scene for p in pairs}))}
    stored: dict[Path, CachedChip] = {}
    for pair in tqdm(pairs, desc="decode", unit="pair"):
        for path, chip in zip((pair.optical, pair.sar), pair.read(), strict=True):
            stored.setdefault(path, CachedChip.of(chip, scenes[pair.scene], spec))
    return list(stored.values())


def _write_split(
    folder: Path, chips: Sequence[CachedChip], share: float, seed: int, choose: ChooseHeldOut
) -> None:
    """Write two shards: training ships, and a share of the ships of both sensors for validation."""
    try:
        held_out = choose(((chip.vessel, chip.modality) for chip in chips), share, seed)
    except HoldoutError as error:
        raise StoreError(str(error)) from error
    write_shard(folder, _TRAIN, [chip for chip in chips if chip.vessel not in held_out])
    write_shard(folder, _VALIDATION, [chip for chip in chips if chip.vessel in held_out])
