"""Coarser chips, and retrieval with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.embedding.chip_table import Embeddings
from model_training.evaluation.resolution import (
    GSDS_M,
    coarsen,
    gsd_metrics,
    measure_gsds,
    rendered_at,
)
from service.contract.chip import Chip, Modality


def chip(modality: Modality, pixels: NDArray[Any], gsd_m: float) -> Chip:
    return Chip(pixels, modality, gsd_m, "parameter", str(pixels.dtype), "0" * 64)


def along_the_hull(chips: Sequence[Chip]) -> Embeddings:
    """Embed 32 samples along the middle of the chip, the nearest pixel each."""
    rows = []
    for item in chips:
        grey = item.pixels if item.pixels.ndim == 2 else item.pixels.mean(axis=2)
        places = np.linspace(0, grey.shape[0] - 1, 32).round().astype(int)
        line = grey[places, grey.shape[1] // 2].astype(np.float64)
        rows.append(line - line.mean() + 1e-6)
    vectors = np.array(rows, np.float32)
    return Embeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_radar_chips_are_averaged_as_power_and_optical_ones_as_brightness() -> None:
    amplitude = np.array([[3, 4], [0, 5]], np.float32).repeat(4, axis=0).repeat(4, axis=1)
    coarse = coarsen(chip(Modality.SAR, amplitude, 1.0), 8.0)
    assert coarse.gsd_m == 8.0
    np.testing.assert_allclose(coarse.pixels, [[np.sqrt((9 + 16 + 0 + 25) / 4)]], rtol=1e-6)
    colours = np.zeros((8, 4, 3), np.uint8)
    colours[:4] = (200, 100, 40)
    halved = coarsen(chip(Modality.OPTICAL, colours, 0.5), 2.0).pixels
    assert halved.tolist() == [[[200, 100, 40]], [[0, 0, 0]]]


def test_size_in_metres_stays_and_finer_is_not_invented() -> None:
    fine = chip(Modality.SAR, np.ones((200, 40), np.float32), 1.0)
    coarse = coarsen(fine, 3.0)
    assert coarse.length_m == pytest.approx(200.0, abs=3.0)
    assert coarsen(fine, 0.5) is fine
    assert coarsen(fine, 1.0) is fine


def test_coarse_queries_find_less_and_a_gsd_finer_than_the_chips_is_left_out() -> None:
    rng = np.random.default_rng(0)
    ids, chips = [], []
    for modality in Modality:
        for ship in range(12):
            deck = np.random.default_rng(ship).uniform(0, 255, (192, 1)).repeat(32, axis=1)
            noisy = np.clip(deck + rng.normal(0, 4, deck.shape), 0, 255)
            pixels: NDArray[Any] = noisy.astype(np.float32)
            if modality is Modality.OPTICAL:
                pixels = noisy.astype(np.uint8)[..., None].repeat(3, axis=2)
            ids.append(ship)
            chips.append(chip(modality, pixels, 1.0))
    found = measure_gsds(np.array(ids), chips, chips, along_the_hull, draws=100, seed=0)
    assert tuple(found) == tuple(gsd for gsd in GSDS_M if gsd >= 1.0)
    assert found[1.0].retrieval["S2O"].first.value == 100.0
    assert found[10.0].retrieval["S2O"].mean_ap.value < 80.0
    assert found[1.0].accepted == 1.0
    assert found[5.0].accepted == 0.0
    assert found[10.0].hull_pixels[Modality.SAR] == pytest.approx(19 / 1.15)
    metrics = gsd_metrics(found, "decks")
    assert {m.protocol for m in metrics} >= {"S2O, queries at 1 m", "O2S, queries at 10 m"}
    assert len(metrics) == 5 * 2 * 3


def test_ships_are_rendered_at_the_wanted_gsd_in_the_same_acquisition() -> None:
    ids, fine = rendered_at(0.5, 2, seed=1)
    _, usual = rendered_at(None, 2, seed=1)
    assert ids.tolist() == [0, 1, 0, 1]
    for one, two in zip(fine, usual, strict=True):
        assert one.gsd_m == 0.5
        assert two.gsd_m == (1.0 if two.modality is Modality.SAR else 0.75)
        assert one.length_m == pytest.approx(two.length_m, abs=2.0)
