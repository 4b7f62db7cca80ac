"""Half turns, and the choice of the better way round."""

import numpy as np
import pytest

from service.contract.framing.half_turn import better_way, half_turn


def test_half_turn_moves_every_corner_to_the_opposite_one_and_back() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    turned = half_turn(pixels)
    assert turned[0, 0].tolist() == pixels[3, 1].tolist()
    assert turned[3, 0].tolist() == pixels[0, 1].tolist()
    assert turned.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(half_turn(turned), pixels)
    amplitude = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(half_turn(amplitude), [[5, 4], [3, 2], [1, 0]])


def test_the_more_similar_way_counts_and_is_the_more_certain_the_larger_the_difference() -> None:
    found = better_way([0.7, 0.2, 0.5], [0.1, 0.6, 0.5], certainty_slope=5.0)
    assert found.similarity.tolist() == [0.7, 0.6, 0.5]
    assert found.turned.tolist() == [False, True, False]
    assert found.certainty == pytest.approx([1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-2)), 0.5])


def test_a_half_turn_counts_less_by_the_preference() -> None:
    found = better_way([0.5, 0.5, 0.5], [0.6, 0.6, 0.9], 5.0, [0.2, 0.0, 0.2])
    assert found.similarity == pytest.approx([0.5, 0.6, 0.7])
    assert found.turned.tolist() == [False, True, True]
    assert better_way([-1.0], [-0.9], 5.0, 0.5).similarity.tolist() == [-1.0]


def test_without_a_slope_no_way_is_more_certain() -> None:
    assert better_way([0.9], [-0.9], certainty_slope=0.0).certainty.tolist() == [0.5]


def test_cosines_of_different_galleries_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        better_way([0.1, 0.2], [0.1], certainty_slope=1.0)
