"""Pictures are converted to the bridge's input, and its output to pictures."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from service.contract.translation import (
    bridge_picture,
    bridge_start,
    brightened,
    noise_generator,
    pseudo_sar_picture,
)


def test_every_grey_value_is_restored_after_both_conversions() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(32, 8)
    signed = bridge_picture(np.repeat(values[:, :, None], 3, axis=2), 32, 8)
    assert signed.dtype == np.float32
    assert signed.min() == -1.0
    assert signed.max() == 1.0
    assert np.array_equal(pseudo_sar_picture(signed), values)


@given(st.floats(-10, 10, width=32))
def test_values_outside_the_range_are_clipped(value: float) -> None:
    expected = min(max((value + 1) * 127.5, 0), 255)
    value_8_bit = int(pseudo_sar_picture(np.full((1, 1, 1), value, np.float32))[0, 0])
    assert abs(value_8_bit - expected) <= 0.5 + 1e-4


def test_resize_is_pillows_bilinear() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 31, 3), dtype=np.uint8)
    resized = Image.fromarray(picture).resize((16, 64), Image.Resampling.BILINEAR)
    signed = bridge_picture(picture, 64, 16)
    assert signed.shape == (3, 64, 16)
    assert np.allclose((signed + 1) * 127.5, np.asarray(resized).transpose(2, 0, 1), atol=1e-4)


def test_one_channel_starts_from_the_luminance() -> None:
    condition = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 4)).astype(np.float32)
    y = bridge_start(condition, channels=1)
    expected = 0.299 * condition[:, 0] + 0.587 * condition[:, 1] + 0.114 * condition[:, 2]
    assert y.shape == (2, 1, 8, 4)
    assert y.dtype == np.float32
    assert np.allclose(y[:, 0], expected, atol=1e-6)
    assert np.allclose(bridge_start(condition[0], channels=1), y[0], atol=1e-6)


def test_three_channels_start_from_the_picture_itself() -> None:
    condition = np.random.default_rng(0).uniform(-1, 1, (3, 8, 4)).astype(np.float32)
    assert np.array_equal(bridge_start(condition, channels=3), condition)


@pytest.mark.parametrize("samples", [1, 5])
def test_pseudo_sar_is_the_mean_over_channels(samples: int) -> None:
    x0 = np.stack([np.full((4, 2), v, np.float32) for v in (-1.0, 0.2, 0.9)])
    pictures = pseudo_sar_picture(np.repeat(x0[None], samples, axis=0))
    assert np.array_equal(pictures, np.full((samples, 4, 2), 132, np.uint8))


def test_noise_depends_on_weights_id_and_digest_only() -> None:
    first, again, *others = (
        noise_generator(*arguments).standard_normal(4)
        for arguments in (("w", "a"), ("w", "a"), ("w", "b"), ("v", "a"))
    )
    assert np.array_equal(first, again)
    assert not any(np.allclose(first, other) for other in others)


def test_a_dim_picture_is_brightened_until_its_brightest_parts_are_white() -> None:
    dim = np.zeros((2, 40, 10), np.uint8)
    dim[0, 5:30, 2:8], dim[1, 5:30, 2:8] = 40, 80
    bright = brightened(dim)
    assert bright.max() == 255
    assert bright[0, 10, 5] == 127
    assert bright[0, 0, 0] == 0
    assert np.array_equal(brightened(np.zeros((1, 4, 4), np.uint8)), np.zeros((1, 4, 4)))
