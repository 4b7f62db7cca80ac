"""Simulated chips as files that are decoded like uploads."""

import numpy as np

from export.sample_chips import simulated_chips
from service.contract.chip import Modality


def test_each_ship_has_a_chip_of_both_sensors_that_is_decoded_like_an_upload() -> None:
    chips = simulated_chips(vessels=2)
    assert [chip.name for chip in chips] == [
        "0000_RGB.tif",
        "0000_SAR.tif",
        "0001_RGB.tif",
        "0001_SAR.tif",
    ]
    for chip in chips:
        decoded = chip.decode()
        assert decoded.modality is chip.modality
        assert decoded.gsd_m == (0.75 if chip.modality is Modality.OPTICAL else 1.0)
        assert decoded.pixels.dtype == (
            np.uint8 if chip.modality is Modality.OPTICAL else np.float32
        )
        assert 10 < decoded.length_m < 500
        assert len(chip.data) < 400_000


def test_equal_seeds_give_equal_chips() -> None:
    assert simulated_chips(vessels=1) == simulated_chips(vessels=1)
    assert simulated_chips(vessels=1)[1].data != simulated_chips(vessels=1, seed=1)[1].data
