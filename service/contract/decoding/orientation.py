"""Apply the orientation tag of a picture (EXIF 2.3 and TIFF 6.0, tag 274)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TAG = 274


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture upright.

    Args:
        samples: `[..., H, W]` as stored.
        orientation: 1 upright, 2 mirrored, 3 upside down, 4 both; 5 to 8 are 1 to 4 transposed.

    Returns:
        `[..., H, W]`, or `[..., W, H]` for 5 to 8.
    """
    if orientation >= 5:
        samples = np.swapaxes(samples, -1, -2)  # [..., H, W] -> [..., W, H]
    flip_columns = orientation in {2, 3, 6, 7}
    flip_rows = orientation in {3, 4, 7, 8}
    if flip_columns:
        samples = samples[..., ::-1]
    if flip_rows:
        samples = samples[..., ::-1, :]
    return np.ascontiguousarray(samples)
