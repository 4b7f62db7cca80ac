"""Framing of genuine chips, where they lie beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from model_training.evaluation.framing_report import measure_shipsnet, measure_ssdd
from model_training.simulator.scenes import set_in_sea
from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.findings import Level
from service.contract.framing.frame import frame_chip
from tests.support.paths import HOSS_SAMPLE_CHIPS, SHARED

HOSS_RADAR, SSDD, SHIPSNET = (SHARED / "data" / name for name in ("hoss-radar", "ssdd", "shipsnet"))
CHIPS = [*sorted(HOSS_SAMPLE_CHIPS.glob("*.tif")), *sorted(HOSS_RADAR.glob("*.tif"))]


def sensor(path: Path) -> Modality:
    """The sensor, which the sample's file names tell and of which hoss-radar has one."""
    return Modality.OPTICAL if "RGB" in path.name else Modality.SAR


@pytest.mark.skipif(not CHIPS, reason="the HOSS sample is not beside this checkout")
def test_every_tight_upright_chip_passes_unchanged() -> None:
    changed = []
    for path in CHIPS:
        chip = decode_chip(path.read_bytes(), modality=sensor(path))
        framed = frame_chip(chip.pixels, chip.modality, chip.gsd_m)
        if framed.pixels is not chip.pixels or framed.framing.method != "unchanged":
            changed.append(path.name)
        assert framed.framing.worst is not Level.BAD, path.name
    assert changed == []


@pytest.mark.skipif(not CHIPS, reason="the HOSS sample is not beside this checkout")
def test_turned_chips_in_sea_are_set_upright() -> None:
    rng = np.random.default_rng(0)
    right = []
    for path in CHIPS[::2]:
        chip = decode_chip(path.read_bytes(), modality=sensor(path))
        axis = float(rng.uniform(0, 180))
        framed = frame_chip(set_in_sea(chip.pixels, axis, rng), chip.modality, chip.gsd_m)
        assert framed.framing.outline is not None
        off = abs((framed.framing.outline.axis_deg - axis + 90) % 180 - 90)
        ratio = framed.pixels.shape[0] / chip.pixels.shape[0]
        right.append(off <= 3.0 and abs(ratio - 1.0) <= 0.16)
    assert np.mean(right) >= 0.9


@pytest.mark.skipif(not SHIPSNET.is_dir(), reason="shipsnet is not beside this checkout")
def test_chips_with_and_without_ship_are_told_apart() -> None:
    presence = measure_shipsnet(SHIPSNET, [])
    assert presence.ships >= 100
    assert presence.ships_not_passed / presence.ships <= 0.05
    assert presence.empty_passed / presence.empty <= 0.1


@pytest.mark.skipif(not SSDD.is_dir(), reason="SSDD is not beside this checkout")
def test_ships_are_found_in_radar_scenes() -> None:
    hits = measure_ssdd(SSDD, 0, [])
    assert hits.crops_on_water >= 200
    assert hits.hits_on_water / hits.crops_on_water >= 0.9
