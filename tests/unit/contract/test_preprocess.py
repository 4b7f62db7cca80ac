"""Preprocessing equals the published pipeline, reimplemented here, bit for bit.

The published steps (MOS and TransOSS): 5th percentile to maximum, truncated to uint8, three
channels; Pillow's bilinear resize; torchvision's ToTensor (divide by 255) and Normalize
(subtract the mean, divide by the deviation), all in float32.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.manifest import PreprocessSpec, SizeTokenSpec
from service.contract.preprocess import (
    denoise_sar,
    picture_to_pixels,
    prepare,
    prepare_views,
    shifted_along,
    size_token,
    to_picture,
)
from tests.support.inputs.chip_files import rgb_planes, sar_plane
from tests.support.inputs.genuine import genuine_chips

SPEC = PreprocessSpec()


def chip_of(pixels: NDArray[Any], gsd_m: float = 1.0) -> Chip:
    modality = Modality.OPTICAL if pixels.ndim == 3 else Modality.SAR
    return Chip(pixels, modality, gsd_m, "parameter", str(pixels.dtype), "0" * 64)


def published_picture(pixels: NDArray[Any]) -> Image.Image:
    """Return the picture that the released code passes to its transforms."""
    if pixels.ndim == 3:
        return Image.fromarray(pixels)
    p5 = np.percentile(pixels, 5)
    stretched = (pixels - p5) / (pixels.max() - p5 + 1e-8) * 255
    return Image.fromarray(np.clip(stretched, 0, 255).astype(np.uint8)).convert("RGB")


def published_pixels(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 `[3, 256, 128]` for a chip that is taller than wide."""
    resized = published_picture(pixels).resize((128, 256), Image.Resampling.BILINEAR)
    tensor = np.asarray(resized, np.uint8).transpose(2, 0, 1).astype(np.float32)
    tensor /= np.float32(255)
    tensor -= np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    tensor /= np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    return tensor


def test_genuine_chips_equal_the_published_pipeline() -> None:
    for path in genuine_chips():
        chip = decode_chip(path.read_bytes())
        prepared = prepare(chip, SPEC)
        np.testing.assert_array_equal(prepared.pixels, published_pixels(chip.pixels))
        height, width = chip.pixels.shape[:2]
        w, h = width * chip.gsd_m, height * chip.gsd_m
        token = [(w / 93 - 0.434) / 0.031, (h / 427 - 0.461) / 0.031, h / w]
        np.testing.assert_array_equal(prepared.size_token, np.array(token, np.float32))
        assert prepared.modality is chip.modality


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(20, 60), st.integers(8, 20)),
        elements=st.floats(0, 11, width=32),
    )
)
def test_random_sar_chips_equal_the_published_pipeline(plane: NDArray[np.float32]) -> None:
    plane[0, 0] = 11
    np.testing.assert_array_equal(prepare(chip_of(plane), SPEC).pixels, published_pixels(plane))


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(20, 60), st.integers(8, 20), st.just(3))))
def test_random_optical_chips_equal_the_published_pipeline(picture: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(prepare(chip_of(picture), SPEC).pixels, published_pixels(picture))


def test_denoise_by_hand() -> None:
    # 21 values 0..20: the 5th percentile is 1, so x becomes (x - 1) / 19 * 255, truncated.
    amplitude = np.arange(21, dtype=np.float32).reshape(3, 7)
    expected = [0, 0] + [int((x - 1) / 19 * 255) for x in range(2, 21)]
    grey = denoise_sar(amplitude)
    assert grey.dtype == np.uint8
    assert grey.ravel()[-1] in (254, 255)
    assert np.abs(grey.ravel().astype(int) - expected).max() <= 1
    assert grey.ravel()[:3].tolist() == [0, 0, 13]


def test_without_a_percentile_sar_is_read_as_by_transoss() -> None:
    plane = 0.5 + np.random.default_rng(3).gamma(1.0, 1.5, (60, 40)).astype(np.float32)
    released = (plane / plane.max() * 255).astype(np.uint8)
    assert np.array_equal(denoise_sar(plane, None), released)
    assert released.min() > 0  # the minimum is not stretched to 0


def test_denoise_is_independent_of_scale() -> None:
    plane = sar_plane()
    np.testing.assert_array_equal(denoise_sar(plane), denoise_sar(plane * np.float32(4)))


def test_size_token_by_hand() -> None:
    token = size_token(length_m=200.0, width_m=40.0, spec=SizeTokenSpec())
    # 40/93 = 0.430108, 200/427 = 0.468384
    np.testing.assert_allclose(token, [-0.125564, 0.238198, 5.0], rtol=1e-4)
    assert token.dtype == np.float32


def test_size_token_depends_on_metres_and_not_on_pixels() -> None:
    optical = chip_of(np.ascontiguousarray(rgb_planes(120, 40).transpose(1, 2, 0)), gsd_m=0.75)
    sar = chip_of(sar_plane(90, 30), gsd_m=1.0)
    np.testing.assert_array_equal(prepare(optical, SPEC).size_token, prepare(sar, SPEC).size_token)


@pytest.mark.parametrize("pixels", [sar_plane(20, 60), rgb_planes(20, 60).transpose(1, 2, 0)])
def test_a_chip_wider_than_tall_is_turned(pixels: NDArray[Any]) -> None:
    lying = chip_of(np.ascontiguousarray(pixels))
    standing = chip_of(np.ascontiguousarray(np.rot90(pixels)))
    np.testing.assert_array_equal(prepare(lying, SPEC).pixels, prepare(standing, SPEC).pixels)
    np.testing.assert_array_equal(
        prepare(lying, SPEC).size_token, prepare(standing, SPEC).size_token
    )


def test_sar_is_repeated_to_three_channels() -> None:
    picture = to_picture(chip_of(sar_plane()), SPEC)
    assert picture.shape == (60, 20, 3)
    assert np.all(picture == picture[..., :1])


def test_exponent_applies_to_sar_only() -> None:
    spec = PreprocessSpec(sar_exponent=0.5, mean=(0, 0, 0), std=(1, 1, 1))
    picture = np.full((32, 16, 3), 64, np.uint8)
    sar = picture_to_pixels(picture, Modality.SAR, spec)
    optical = picture_to_pixels(picture, Modality.OPTICAL, spec)
    np.testing.assert_allclose(sar, np.sqrt(64 / 255), rtol=1e-6)
    np.testing.assert_allclose(optical, 64 / 255, rtol=1e-6)
    assert sar.shape == (3, 256, 128)


def test_per_chip_normalisation() -> None:
    pixels = prepare(chip_of(sar_plane()), PreprocessSpec(normalisation="per_chip")).pixels
    assert pixels.mean() == pytest.approx(0, abs=1e-4)
    assert pixels.std() == pytest.approx(1, abs=0.01)


def test_a_picture_is_shifted_along_the_hull_and_the_border_is_mirrored() -> None:
    picture = np.arange(10, dtype=np.uint8).repeat(2).reshape(10, 2)
    up, down = shifted_along(picture, 0.2)
    assert up[:, 0].tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 9, 8]
    assert down[:, 0].tolist() == [1, 0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert shifted_along(np.repeat(picture[:, :, None], 3, 2), 0.2)[0].shape == (10, 2, 3)


@pytest.mark.parametrize("pixels", [sar_plane(1), rgb_planes(1).transpose(1, 2, 0)])
def test_only_a_chip_that_was_cut_out_has_two_views(pixels: NDArray[Any]) -> None:
    chip = chip_of(pixels)
    (alone,) = prepare_views(chip, SPEC)
    np.testing.assert_array_equal(alone.pixels, prepare(chip, SPEC).pixels)
    views = prepare_views(replace(chip, cut_out=True), SPEC)
    up, down = shifted_along(to_picture(chip, SPEC), 0.025)
    for view, picture in zip(views, (up, down), strict=True):
        np.testing.assert_array_equal(view.pixels, picture_to_pixels(picture, chip.modality, SPEC))
        np.testing.assert_array_equal(view.size_token, alone.size_token)
