"""Layout along the hull, and its place in a usual crop."""

import numpy as np
import pytest

from model_training.simulator.truth import layout_in_crop


def test_a_crop_without_margin_changes_nothing() -> None:
    layout = np.random.default_rng(1).random((32, 9)).astype(np.float32)
    np.testing.assert_allclose(layout_in_crop(layout, 0.0), layout, atol=1e-6)


def test_a_crop_with_margin_shows_sea_at_both_ends() -> None:
    layout = np.ones((32, 1), np.float32)
    framed = layout_in_crop(layout, 1.0)[:, 0]
    np.testing.assert_allclose(framed, np.repeat([0.0, 1.0, 0.0], [8, 16, 8]), atol=1e-6)


def test_a_margin_keeps_the_middle_in_place_and_the_sums_unchanged() -> None:
    layout = np.zeros((32, 2), np.float32)
    layout[15:17, 0] = 1.0
    layout[0, 1] = 1.0
    framed = layout_in_crop(layout, 0.16)
    assert framed[15:17, 0].mean() == pytest.approx(1 / 1.16 / 1.0, rel=0.2)
    np.testing.assert_allclose(framed.sum(0) * 1.16, layout.sum(0), rtol=1e-5)
    assert framed[:, 1].argmax() == 2  # the stern begins 0.08 / 1.16 of 32 bins down the chip


def test_a_turned_layout_gives_the_turned_crop() -> None:
    layout = np.random.default_rng(2).random((32, 3)).astype(np.float32)
    np.testing.assert_allclose(
        layout_in_crop(layout[::-1], 0.16), layout_in_crop(layout, 0.16)[::-1], atol=1e-6
    )
