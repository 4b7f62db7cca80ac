"""Pinned results of the preprocessing, to detect a library that changes a single bit.

A bundle that was trained on other bits would still run, but less accurately, without an error.
"""

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.manifest import PreprocessSpec, SizeTokenSpec
from service.contract.preprocess import denoise_sar, picture_to_pixels, size_token, to_picture
from service.contract.translation import bridge_picture, pseudo_sar_picture

PLAIN = PreprocessSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def hull() -> NDArray[np.float32]:
    """Return a SAR-like amplitude float32 `[157, 31]`: bright rows along a hull, not random."""
    rows, columns = np.mgrid[0:157, 0:31]
    sea = ((rows * 7919 + columns * 104729) % 257) / 257
    deck = 6.0 * ((rows % 19) < 3) * (np.abs(columns - 15) < 9)
    return np.asarray(sea + deck, np.float32)


def photograph() -> NDArray[np.uint8]:
    """Return an optical-like picture uint8 `[211, 43, 3]`."""
    rows, columns, bands = np.mgrid[0:211, 0:43, 0:3]
    return np.asarray((rows * 31 + columns * 17 + bands * 71 + rows * columns) % 256, np.uint8)


def digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def chip(pixels: NDArray[Any], modality: Modality) -> Chip:
    return Chip(pixels, modality, 1.0, "default", str(pixels.dtype), "0" * 64)


def resized(pixels: NDArray[Any], modality: Modality) -> NDArray[np.uint8]:
    """Preprocess a chip and convert the result back to uint8."""
    unit = picture_to_pixels(to_picture(chip(pixels, modality), PLAIN), modality, PLAIN)
    return np.rint(unit * 255).astype(np.uint8)


def test_denoised_sar() -> None:
    assert digest(denoise_sar(hull())) == "288ab57b59beead2"


@pytest.mark.parametrize(
    ("pixels", "modality", "expected"),
    [
        (hull(), Modality.SAR, "9f2691333d740412"),
        (photograph(), Modality.OPTICAL, "3ca094a90021f271"),
    ],
)
def test_resized_pictures(pixels: NDArray[Any], modality: Modality, expected: str) -> None:
    assert digest(resized(pixels, modality)) == expected


def test_a_chip_wider_than_tall_is_turned() -> None:
    assert digest(resized(photograph().transpose(1, 0, 2), Modality.OPTICAL)) == "993cd0161c5b1ff2"


def test_bridge_pictures_round_trip() -> None:
    assert digest(pseudo_sar_picture(bridge_picture(photograph(), 128, 32))) == "8a94e5e8ea31c199"


def test_size_token_of_a_coaster() -> None:
    token = size_token(length_m=88.0, width_m=13.5, spec=SizeTokenSpec())
    assert np.allclose(token, [-9.317378, -8.222936, 6.518519], atol=1e-5)
