"""Harder chips: other crop, wrong size, noise; the same chip for the same seed."""

from pathlib import Path

import numpy as np
import pytest

from model_training.data.harder_chips import (
    CROP_ACROSS,
    SIZE_NOISE,
    HarderChip,
    make_harder,
    with_harder_chips,
)
from model_training.data.hoss import LabelledChip, parse_chip_name
from service.contract.chip import Modality
from tests.support.training.training_data import write_chips


def labelled(folder: Path, *names: str) -> list[LabelledChip]:
    chips = [parse_chip_name(path) for path in write_chips(folder, *names)]
    return [chip for chip in chips if chip is not None]


@pytest.mark.parametrize("name", ["0001_s1c1_RGB.tif", "0001_s1c2_SAR.tif"])
def test_a_harder_chip_keeps_its_kind_and_differs_in_pixels_and_size(
    tmp_path: Path, name: str
) -> None:
    chip = labelled(tmp_path, name)[0].read()
    harder = [make_harder(chip, np.random.default_rng(seed)) for seed in range(40)]
    for one in harder:
        assert one.pixels.dtype == chip.pixels.dtype
        assert one.pixels.ndim == chip.pixels.ndim
        assert np.isfinite(one.pixels).all()
        assert one.modality is chip.modality
        assert one.digest != chip.digest
    widths = np.array([one.pixels.shape[1] for one in harder]) / chip.pixels.shape[1]
    assert 0.5 * CROP_ACROSS < widths.std() < 3 * CROP_ACROSS
    size = np.log([one.gsd_m / chip.gsd_m for one in harder])
    assert 0.5 * SIZE_NOISE < size.std() < 2 * SIZE_NOISE


def test_speckle_keeps_the_mean_intensity_of_a_radar_chip(tmp_path: Path) -> None:
    chip = labelled(tmp_path, "0001_s1c2_SAR.tif")[0].read()
    intensity = [
        float(np.mean(make_harder(chip, np.random.default_rng(seed)).pixels ** 2))
        for seed in range(60)
    ]
    before = float(np.mean(chip.pixels.astype(np.float64) ** 2))
    assert 0.6 < np.mean(intensity) / before < 1.2


def test_one_seed_gives_one_chip_and_the_share_is_kept(tmp_path: Path) -> None:
    names = [f"{ship:04d}_s1c2_SAR.tif" for ship in range(1, 61)]
    chips = labelled(tmp_path, *names)
    once, again = (with_harder_chips(chips, 0.5, seed=3) for _ in range(2))
    assert once == again
    hard = [chip for chip in once if isinstance(chip, HarderChip)]
    assert 15 < len(hard) < 45
    np.testing.assert_array_equal(hard[0].read().pixels, hard[0].read().pixels)
    assert with_harder_chips(chips, 0.0, seed=3) == tuple(chips)
    assert [chip.path for chip in once] == [chip.path for chip in chips]
    assert {chip.modality for chip in hard} == {Modality.SAR}
