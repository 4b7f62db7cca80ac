"""Unit vectors and the fusion formula, against values by hand and its properties."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from service.contract.fusion import fuse, l2_normalise

Floats = NDArray[np.float32]


def f32(*rows: float | list[float]) -> Floats:
    return np.array(rows, np.float32)


def test_l2_normalise_by_hand() -> None:
    unit = l2_normalise(f32([3, 4], [0, -2]))
    np.testing.assert_allclose(unit, np.array([[0.6, 0.8], [0, -1]]), rtol=1e-6)
    assert unit.dtype == np.float32


def test_fuse_by_hand() -> None:
    # mean of (0,1) and (1,0) is (.5,.5); .8 (1,0) + .2 (.5,.5) = (.9,.1), length sqrt(.82)
    fused = fuse(f32(5, 0), f32([0, 3], [7, 0]), alpha=0.2)
    np.testing.assert_allclose(fused, np.array([0.9, 0.1]) / np.sqrt(0.82), rtol=1e-6)


def test_alpha_at_its_ends() -> None:
    feature, pseudo = f32(1, 1, 0), f32([0, 0, 2], [0, 2, 0])
    np.testing.assert_allclose(fuse(feature, pseudo, 0.0), l2_normalise(feature))
    np.testing.assert_allclose(fuse(feature, pseudo, 1.0), f32(0, 1, 1) / np.sqrt(2), rtol=1e-6)


@given(
    arrays.arrays(np.float32, (6, 16), elements=st.floats(0.125, 10, width=32)),
    st.floats(0, 1),
    st.floats(0.1, 50),
)
def test_fused_vector_is_a_unit_vector_independent_of_scale_and_order(
    vectors: Floats, alpha: float, scale: float
) -> None:
    fused = fuse(vectors[0], vectors[1:], alpha)
    assert np.linalg.norm(fused) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(fuse(vectors[0] * scale, vectors[1:], alpha), fused, atol=1e-5)
    np.testing.assert_allclose(fuse(vectors[0], vectors[:0:-1], alpha), fused, atol=1e-5)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_zero_or_not_finite_vector_is_rejected(bad: float) -> None:
    with pytest.raises(ValueError, match="no direction"):
        l2_normalise(np.full((2, 4), bad, np.float32))


def test_pseudo_sar_vectors_that_cancel_out_are_rejected() -> None:
    with pytest.raises(ValueError, match="no direction"):
        fuse(f32(1, 0), f32([0, 1], [0, -1]), 1.0)


@pytest.mark.parametrize(
    ("pseudo", "alpha", "reason"),
    [
        (np.ones((2, 3), np.float32), 0.1, "expected"),
        (np.ones(2, np.float32), 0.1, "expected"),
        (np.ones((0, 2), np.float32), 0.1, "at least one"),
        (np.ones((1, 2), np.float32), -0.1, "alpha"),
        (np.ones((1, 2), np.float32), 1.1, "alpha"),
        (np.ones((1, 2), np.float32), float("nan"), "alpha"),
    ],
)
def test_invalid_arguments_are_rejected(pseudo: Floats, alpha: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fuse(f32(1, 0), pseudo, alpha)
