"""The demo's chips are tight and upright: framing leaves them alone and finds nothing bad."""

import random

import pytest

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.findings import Level
from service.contract.framing.frame import frame_chip
from tests.support.faults.ship_chips import OPTICAL, SAR, cut_chip
from tests.support.paths import FLEET

CHIPS = sorted(path for path in FLEET.rglob("*") if path.suffix in (".tif", ".jpg"))


def test_there_are_chips_of_both_sensors() -> None:
    assert sum("_SAR" in path.name for path in CHIPS) >= 20
    assert sum("_RGB" in path.name for path in CHIPS) >= 60


@pytest.mark.parametrize("modality", list(Modality))
def test_every_chip_passes_unchanged_and_is_not_bad(modality: Modality) -> None:
    suffix = "_SAR" if modality is Modality.SAR else "_RGB"
    for path in CHIPS:
        if suffix not in path.name:
            continue
        chip = decode_chip(path.read_bytes(), modality=modality)
        framed = frame_chip(chip.pixels, modality, chip.gsd_m)
        assert framed.framing.method == "unchanged", path.name
        assert framed.pixels is chip.pixels, path.name
        assert framed.framing.worst is not Level.BAD, path.name


@pytest.mark.parametrize("modality", list(Modality))
def test_chips_that_are_cut_closer_are_still_ships(modality: Modality) -> None:
    dice = random.Random(1)
    folder = SAR if modality is Modality.SAR else OPTICAL
    for _ in range(150):
        chip = decode_chip(cut_chip(dice, folder), modality=modality)
        framed = frame_chip(chip.pixels, modality, chip.gsd_m)
        assert framed.framing.method != "none", chip.pixels.shape
