"""Genuine HOSS chips decode to the samples that rasterio reads; only the GSD is assumed."""

import numpy as np
import rasterio

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from tests.support.inputs.genuine import genuine_chips


def test_genuine_chips_decode_exactly() -> None:
    for path in genuine_chips():
        chip = decode_chip(path.read_bytes())
        optical = path.stem.endswith("RGB")
        assert chip.modality is (Modality.OPTICAL if optical else Modality.SAR), path.name
        assert chip.bit_depth == ("uint8" if optical else "float32")
        assert (chip.gsd_m, chip.gsd_source) == (0.75 if optical else 1.0, "default")
        assert len(chip.warnings) == 1
        assert "was assumed" in chip.warnings[0]
        with rasterio.open(path) as source:
            expected = source.read()
        expected = expected.transpose(1, 2, 0) if optical else expected[0]
        np.testing.assert_array_equal(chip.pixels, expected)
