"""The genuine HOSS chips that may lie beside a checkout; they are not part of the repository."""

from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "hoss-sample" / "bounding_box_train"


def genuine_chips(pattern: str = "*.tif") -> list[Path]:
    """Paths of the genuine chips in order; skips the test where the sample is absent."""
    paths = sorted(SAMPLE.glob(pattern))
    if not paths:
        pytest.skip(f"the genuine HOSS sample is not at {SAMPLE}")
    return paths
