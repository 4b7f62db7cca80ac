"""Reliability bins, ECE and the diagram."""

from pathlib import Path

import numpy as np
import pytest

from model_training.calibration.reliability import draw_diagram, measure_reliability


def test_hand_computed_error() -> None:
    # two bins: predicted 0.2, of which 1 in 4 was right, and 0.9, of which 2 in 4 were right
    predicted = np.array([0.2] * 4 + [0.9] * 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0], np.bool_)
    result = measure_reliability(predicted, right, np.arange(8), bins=2)
    np.testing.assert_allclose(result.predicted, [0.2, 0.9])
    np.testing.assert_allclose(result.observed, [0.25, 0.5])
    assert result.ece.value == pytest.approx((0.05 * 4 + 0.4 * 4) / 8)


def test_equal_probabilities_share_a_bin() -> None:
    right = np.arange(100) < 50
    result = measure_reliability(np.full(100, 0.5), right, np.arange(100))
    assert result.counts.tolist() == [100]
    assert result.ece.value == 0


def test_true_probabilities_have_a_small_error_and_wrong_ones_a_large_one() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000)
    right = rng.random(20_000) < truth
    ships = np.repeat(np.arange(2000), 10)
    calibrated = measure_reliability(truth, right, ships)
    overconfident = measure_reliability(np.sqrt(truth), right, ships)
    assert calibrated.ece.value < 0.02
    assert calibrated.ece.ends[0] <= calibrated.ece.value
    assert overconfident.ece.ends[0] > 0.1
    assert calibrated.counts.sum() == 20_000
    assert (np.diff(calibrated.predicted) > 0).all()


def test_no_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        measure_reliability(np.array([]), np.array([], np.bool_), np.array([], np.int64))


def test_the_diagram_is_written_as_png(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random(50)
    curve = measure_reliability(predicted, rng.random(50) < predicted, np.arange(50))
    path = tmp_path / "deep" / "reliability.png"
    draw_diagram({"test": curve}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
