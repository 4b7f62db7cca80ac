"""The two-sample test on textures whose difference is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from model_training.simulator.two_sample import two_sample_test


def speckle(seed: int, blur: float) -> NDArray[np.float64]:
    """Return a chip of exponential speckle, blurred and scaled to 0..1."""
    power = np.random.default_rng(seed).standard_exponential((120, 40))
    smooth = ndimage.gaussian_filter(power, blur)
    scaled: NDArray[np.float64] = smooth / smooth.max()
    return scaled


def chips(first: int, count: int, blur: float = 1.0) -> list[NDArray[np.float64]]:
    return [speckle(seed, blur) for seed in range(first, first + count)]


def test_chips_of_one_texture_cannot_be_told_apart() -> None:
    result = two_sample_test(chips(0, 20), chips(100, 40))
    assert result.interval[0] < 0.5 < result.interval[1]
    assert abs(result.patch_auc - 0.5) < 0.12
    assert (result.genuine, result.simulated) == (20, 40)


def test_another_correlation_of_the_speckle_is_noticed() -> None:
    result = two_sample_test(chips(0, 20, blur=1.6), chips(100, 40))
    assert result.patch_auc > 0.95
    assert result.interval[0] > 0.9


def test_equal_arguments_give_equal_results() -> None:
    assert two_sample_test(chips(0, 6), chips(50, 6)) == two_sample_test(chips(0, 6), chips(50, 6))


def test_too_few_chips_of_the_size_of_a_patch_are_refused() -> None:
    narrow = [chip[:, :20] for chip in chips(0, 10)]
    with pytest.raises(ValueError, match="0 chips are at least 32 pixels wide; 5 are needed"):
        two_sample_test(narrow, chips(100, 10))
