"""The embedding of a chip is the mean of its views' embeddings."""

import numpy as np
import pytest

from service.contract.embedding import mean_of_views

UNIT = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], np.float32)


def test_views_are_averaged_chip_by_chip_and_single_ones_kept_bit_for_bit() -> None:
    found = mean_of_views(UNIT, ["a", "bc", "d"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[[0, 2]], UNIT[[0, 3]])
    np.testing.assert_allclose(found[1], np.array([0.6, 1.8]) / np.sqrt(3.6), rtol=1e-6)


def test_one_view_for_each_chip_changes_nothing() -> None:
    np.testing.assert_array_equal(mean_of_views(UNIT, "abcd"), UNIT)


def test_views_of_opposite_directions_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no direction"):
        mean_of_views(np.array([[1, 0], [-1, 0]], np.float32), ["ab"])
