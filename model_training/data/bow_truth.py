"""Read at which end of each simulated chip the bow is."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_FILE = Path("truth", "layout.npz")


def read_bow_up(folder: Path) -> Mapping[Path, bool]:
    """Return whether the bow points up, by the chip's absolute path.

    Args:
        folder: a data set of `crossfix-train simulate`, or one of its parts, such as `val`.

    Returns:
        An empty mapping for a folder without such truth: genuine chips have none.
    """
    for root in (folder.resolve(), folder.resolve().parent):
        if (root / _FILE).is_file():
            with np.load(root / _FILE) as truth:
                names, up = truth["names"].tolist(), truth["bow_up"].tolist()
            return {root / name: bool(value) for name, value in zip(names, up, strict=True)}
    return {}
