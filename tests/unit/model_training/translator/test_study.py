"""Measures of pseudo-SAR against values computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model_training.translator.dataset import PairedViews
from model_training.translator.diffusion import BridgeConfig
from model_training.translator.study import (
    half_turned,
    one_view_each,
    pair_auc,
    pixel_features,
    reference_auc,
    study_sampler,
)
from model_training.translator.unet import BridgeUNet, UNetConfig

SMALL = UNetConfig(height=32, width=16, widths=(16, 32), heads=2)


def test_pixel_features_are_correlations() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 4), dtype=np.uint8)
    features = pixel_features(pictures)
    expected = np.corrcoef(pictures.reshape(4, -1).astype(np.float64))
    assert np.allclose(features @ features.T, expected, atol=1e-4)


def test_a_constant_picture_resembles_nothing() -> None:
    assert np.all(pixel_features(np.full((1, 8, 4), 9, np.uint8)) == 0)


def test_pair_auc_by_hand() -> None:
    eye = np.eye(3, dtype=np.float32)
    assert pair_auc(eye) == 1.0
    assert pair_auc(np.zeros((3, 3), np.float32)) == 0.5
    assert pair_auc(np.roll(eye, 1, axis=1)) == pytest.approx(0.25)  # 3 losses, 3 ties
    assert pair_auc(-eye) == 0.0


def test_a_half_turn_reverses_rows_and_columns() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    assert np.array_equal(half_turned(picture)[0], picture[0].ravel()[::-1].reshape(4, 3))
    assert np.array_equal(half_turned(half_turned(picture)), picture)


def test_the_orientation_of_the_sar_view_does_not_matter(views: PairedViews) -> None:
    """Turning every other vessel's SAR views changes neither measure."""
    unet = BridgeUNet(SMALL).eval()
    turned = views.sar.copy()
    odd = views.sar_vessel % 2 == 1
    turned[odd] = turned[odd][:, ::-1, ::-1]
    (before,) = study_sampler(unet, BridgeConfig(), views, [1], [1])
    (after,) = study_sampler(unet, BridgeConfig(), replace(views, sar=turned), [1], [1])
    assert after.l1 == pytest.approx(before.l1, abs=1e-4)
    assert after.pair_auc == pytest.approx(before.pair_auc, abs=1e-6)


def test_one_view_each_keeps_vessels_together(views: PairedViews) -> None:
    optical, sar = one_view_each(views)
    assert optical.shape == (12, 32, 16, 3)
    assert sar.shape == (12, 32, 16)
    assert np.array_equal(optical[..., 0] < 60, sar > 150)


def test_references_are_low_for_luminance_and_high_for_a_second_sar_view(
    views: PairedViews,
) -> None:
    floor, best = reference_auc(views)
    assert floor < 0.2  # dark where SAR is bright
    assert best is not None
    assert best > 0.9
    first = np.unique(views.sar_vessel, return_index=True)[1]
    single = replace(views, sar=views.sar[first], sar_vessel=views.sar_vessel[first])
    again, best_of_one_view = reference_auc(single)
    assert again == pytest.approx(floor)
    assert best_of_one_view is None


def test_the_study_covers_steps_and_k(views: PairedViews) -> None:
    torch.manual_seed(0)
    unet = BridgeUNet(SMALL).eval()  # predicts grad 0, so every picture is the luminance
    rows = study_sampler(unet, BridgeConfig(), views, steps=[1, 3], samples=[1, 2])
    assert [(row.steps, row.samples) for row in rows] == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert all(row.milliseconds > 0 for row in rows)
    optical, sar = one_view_each(views)
    luminance = optical @ np.array([0.299, 0.587, 0.114])
    gaps = [np.abs(np.rint(luminance) - true).mean(axis=(1, 2)) for true in (sar, half_turned(sar))]
    assert rows[0].l1 == pytest.approx(np.minimum(*gaps).mean(), abs=0.1)
