"""Chip files made in memory for tests: simulated pixels in genuine containers."""

import io
import struct
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter, MemoryFile

Entry = tuple[int, int, int, int]


def sar_plane(height: int = 60, width: int = 20, seed: int = 0) -> NDArray[np.float32]:
    """A simulated SAR chip, float32 `[H, W]`: exponential clutter and a bright hull."""
    rng = np.random.default_rng(seed)
    plane = rng.exponential(0.1, (height, width)).astype(np.float32)
    plane[height // 8 : -height // 8, width // 4 : -width // 4] += np.float32(1.0)
    return plane


def rgb_planes(height: int = 60, width: int = 20, seed: int = 0) -> NDArray[np.uint8]:
    """A simulated optical chip, uint8 `[3, H, W]`: noisy sea and a reddish hull."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(20, 60, (3, height, width), dtype=np.uint8)
    hull = np.array([180, 60, 50], np.uint8)[:, None, None]
    planes[:, height // 8 : -height // 8, width // 4 : -width // 4] += hull
    return planes


def tiff_bytes(
    samples: NDArray[Any], finish: Callable[[DatasetWriter], object] | None = None, **profile: Any
) -> bytes:
    """Write `[H, W]` or `[B, H, W]` as TIFF; `finish` may set tags on the open file."""
    planes = samples if samples.ndim == 3 else samples[None]
    count, height, width = planes.shape
    settings = {"dtype": str(planes.dtype)} | profile
    # Not `catch_warnings`: it is not safe between threads. Pytest drops the filter after the test.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", count=count, height=height, width=width, **settings
        ) as target:
            target.write(planes)
            if finish is not None:
                finish(target)
        return bytes(memory.getbuffer())


def picture_bytes(samples: NDArray[Any], container: str, **options: Any) -> bytes:
    """Write `[H, W]` or `[H, W, C]` by Pillow as `PNG`, `JPEG`, `GIF`, …"""
    return image_bytes(Image.fromarray(samples), container, **options)


def image_bytes(image: Image.Image, container: str, **options: Any) -> bytes:
    """Write a Pillow image."""
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def raw_tiff(directories: Sequence[Sequence[Entry]], *, loop: bool = False) -> bytes:
    """A little-endian TIFF of nothing but directories.

    Args:
        directories: entries (tag, type, count, value or offset) of each page.
        loop: whether the last directory points back to the first.
    """
    parts = [struct.pack("<2sHI", b"II", 42, 8)]
    offset = 8
    for number, entries in enumerate(directories):
        following = offset + 2 + 12 * len(entries) + 4
        last = number == len(directories) - 1
        parts.append(struct.pack("<H", len(entries)))
        parts += [struct.pack("<HHII", *entry) for entry in entries]
        parts.append(struct.pack("<I", (8 if loop else 0) if last else following))
        offset = following
    return b"".join(parts)


def page_entries(width: int, height: int, **overrides: int) -> list[Entry]:
    """Entries of a plain uint8 page whose one strip lies at the file's begin.

    Args:
        width: ImageWidth.
        height: ImageLength.
        overrides: `bits`, `compression`, `photometric`, `offset`, `samples`, `rows`, `bytes`.
    """
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, overrides.get("bits", 8)),
        (259, 3, 1, overrides.get("compression", 1)),
        (262, 3, 1, overrides.get("photometric", 1)),
        (273, 4, 1, overrides.get("offset", 8)),
        (277, 3, 1, overrides.get("samples", 1)),
        (278, 4, 1, overrides.get("rows", height)),
        (279, 4, 1, overrides.get("bytes", width * height)),
    ]
