"""The chip store: written chips are read back unchanged, by chip and by vessel."""

from pathlib import Path

import numpy as np
import pytest

from model_training.data.cache import (
    CachedChip,
    PictureStore,
    StoreError,
    shard_numbers,
    write_shard,
)
from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import to_picture


def stored(vessel: int, modality: Modality, height: int, seed: int = 0) -> CachedChip:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, 10, 3), dtype=np.uint8)
    if modality is Modality.SAR:
        pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
    return CachedChip(pixels, modality, 1.0, vessel)


def fleet() -> list[CachedChip]:
    return [
        stored(9, Modality.OPTICAL, 40, 1),
        stored(9, Modality.SAR, 30, 2),
        stored(4, Modality.SAR, 100, 3),
        stored(4, Modality.SAR, 80, 4),
    ]


def test_chips_and_layouts_are_read_as_they_were_written(tmp_path: Path) -> None:
    layouts = np.arange(12, dtype=np.float16).reshape(2, 2, 3)
    write_shard(tmp_path, 0, fleet(), layouts)
    write_shard(tmp_path, 3, [stored(1, Modality.SAR, 20)], np.ones((1, 2, 3), np.float16))
    store = PictureStore(tmp_path, [3, 0])
    assert len(store) == 5
    for row, chip in enumerate([stored(1, Modality.SAR, 20), *fleet()]):
        assert np.array_equal(store.picture(row), chip.picture)
        assert store.modality(row) is chip.modality
    assert store.vessels.tolist() == [1, 4, 9]
    assert store.vessel_row.tolist() == [0, 2, 2, 1, 1]
    assert store.layouts is not None
    assert np.array_equal(store.layouts[1:], layouts)
    assert [rows.tolist() for rows in store.rows_by_vessel(Modality.SAR)] == [[0], [3, 4], [2]]
    assert [rows.tolist() for rows in store.rows_by_vessel(Modality.OPTICAL)] == [[], [], [1]]
    assert store.vessel_length_m().tolist() == [20.0, 90.0, 35.0]


def test_a_chip_is_stored_as_the_serving_code_prepares_it() -> None:
    amplitude = np.random.default_rng(0).random((9, 30), np.float32)
    chip = Chip(amplitude, Modality.SAR, 0.5, "parameter", "float32", "0" * 64)
    cached = CachedChip.of(chip, 7, PreprocessSpec())
    assert np.array_equal(cached.picture, to_picture(chip, PreprocessSpec()))
    assert cached.picture.shape == (30, 9, 3)
    assert (cached.gsd_m, cached.vessel) == (0.5, 7)


def test_an_unfinished_shard_is_ignored(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, fleet())
    write_shard(tmp_path, 1, fleet())
    (tmp_path / "00001.chips.npy").unlink()
    assert shard_numbers(tmp_path) == [0]
    with pytest.raises(StoreError, match=r"lacks shards \[1\]"):
        PictureStore(tmp_path, [0, 1])


def test_a_vessel_in_two_shards_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path, 0, fleet())
    write_shard(tmp_path, 1, fleet())
    with pytest.raises(StoreError, match="more than one shard"):
        PictureStore(tmp_path, [0, 1])


def test_another_number_of_layouts_than_vessels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 layouts for 2 vessels"):
        write_shard(tmp_path, 0, fleet(), np.zeros((3, 1, 4), np.float16))


def test_the_digest_depends_on_pixels_and_labels(tmp_path: Path) -> None:
    digests = set()
    for name, chips in {
        "same": fleet(),
        "again": fleet(),
        "other-pixels": [*fleet()[:-1], stored(4, Modality.SAR, 80, 5)],
        "other-label": [*fleet()[:-1], stored(5, Modality.SAR, 80, 4)],
    }.items():
        write_shard(tmp_path / name, 0, chips)
        digests.add(PictureStore(tmp_path / name, [0]).digest())
    assert len(digests) == 3
