"""Small synthetic views: one bar per vessel, at the same place in both sensors."""

import numpy as np
import pytest

from model_training.translator.dataset import PairedViews


def bar_views(vessels: int = 12, height: int = 32, width: int = 16) -> PairedViews:
    """Draw two optical views with a dark bar and three SAR views with a bright one per vessel."""
    rng = np.random.default_rng(0)
    optical, sar = [], []
    for vessel in range(vessels):
        row = 2 + (vessel * 7) % (height - 8)
        for _ in range(2):
            picture = rng.integers(120, 140, (height, width, 3))
            picture[row : row + 4, 4:12] = 30
            optical.append(picture)
        for _ in range(3):
            grey = rng.integers(0, 20, (height, width))
            grey[row : row + 4, 4:12] = 220
            sar.append(np.repeat(grey[:, :, None], 3, axis=2))
    return PairedViews(
        optical=np.stack(optical).astype(np.uint8),
        optical_vessel=np.repeat(np.arange(vessels), 2),
        sar=np.stack(sar).astype(np.uint8),
        sar_vessel=np.repeat(np.arange(vessels), 3),
    )


@pytest.fixture(scope="session")
def views() -> PairedViews:
    return bar_views()
