"""Quantiles and medians are those of NumPy."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from service.contract.framing.order_statistics import medians, quantile

NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(values=arrays(np.float32, st.integers(1, 40), elements=NUMBERS), share=st.floats(0, 1))
def test_quantile_is_numpys(values: NDArray[np.float32], share: float) -> None:
    expected = float(np.quantile(values.astype(np.float64), share))
    assert quantile(values, share) == pytest.approx(expected, rel=1e-5, abs=1e-2)


@given(rows=arrays(np.float32, st.tuples(st.just(3), st.integers(1, 40)), elements=NUMBERS))
def test_medians_are_numpys(rows: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(medians(rows), np.median(rows, axis=1), rtol=1e-5, atol=1e-2)
    assert medians(rows).dtype == np.float32
