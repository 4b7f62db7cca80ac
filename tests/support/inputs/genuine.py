"""The genuine HOSS chips that may lie beside a checkout; they are not part of the repository."""

from pathlib import Path

import pytest

from tests.support.paths import HOSS_SAMPLE_CHIPS


def genuine_chips(pattern: str = "*.tif") -> list[Path]:
    """Paths of the genuine chips in order; skips the test where the sample is absent."""
    paths = sorted(HOSS_SAMPLE_CHIPS.glob(pattern))
    if not paths:
        pytest.skip(f"the genuine HOSS sample is not at {HOSS_SAMPLE_CHIPS}")
    return paths
