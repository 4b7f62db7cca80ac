"""The result of a file reader: samples whose meaning is not decided yet."""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from service.contract.chip import Modality
from service.contract.decoding.bands import BandLayout

ORIENTATION_TAG = 274
"""EXIF 2.3 and TIFF 6.0."""
UNEVEN_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Georeference:
    """Pixel (column, row) -> map coordinates, and the map's coordinate system."""

    transform: Affine
    crs: CRS


@dataclass(frozen=True, slots=True)
class Raster:
    """Samples as they stand in the file, with what the file says about them.

    Attributes:
        container: `TIFF`, `PNG` or `JPEG`.
        samples: `[B, H, W]`, the bands that were read, in the file's type (a palette is expanded).
        read: the index in `layout` of each band in `samples`.
        nodata: the value declared to mean "no data"; NaN is a value here.
        scales: scale and offset of each band in `samples`: the value is `sample * scale + offset`.
        mask: bool `[H, W]`, true where the file's own mask says that there are data.
        premultiplied: whether the colours were multiplied by the alpha band already.
        suggestion: the modality that free text in the file suggests; it decides nothing.
    """

    container: str
    samples: NDArray[Any]
    layout: BandLayout
    read: tuple[int, ...]
    nodata: float | None = None
    scales: tuple[tuple[float, float], ...] = ()
    mask: NDArray[np.bool_] | None = None
    premultiplied: bool = False
    suggestion: Modality | None = None
    georeference: Georeference | None = None
    warnings: tuple[str, ...] = ()

    def band(self, index: int) -> NDArray[Any]:
        """Return a band `[H, W]` by its index in `layout`."""
        samples: NDArray[Any] = self.samples[self.read.index(index)]
        return samples

    def scale(self, index: int) -> tuple[float, float]:
        """Return scale and offset of a band by its index in `layout`."""
        return self.scales[self.read.index(index)] if self.scales else (1.0, 0.0)

    @property
    def picture_bands(self) -> tuple[int, ...]:
        """Indices in `layout` of the bands that were read and are not alpha."""
        return tuple(i for i in self.layout.picture_bands if i in self.read)


def upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture upright; return `[..., H, W]`, or `[..., W, H]` for 5 to 8.

    Args:
        samples: `[..., H, W]` as stored.
        orientation: 1 upright, 2 mirrored, 3 upside down, 4 both; 5 to 8 are 1 to 4 transposed.
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


def black_level(samples: NDArray[Any], nodata: float | None, bits: int) -> int:
    """Return which sample is black where 0 is white.

    That is the largest of `bits` bits. But 16 bits often hold 10 to 14; taken for 16, all of the
    picture would be nearly white, so that it is the largest of the fewest bits that suffice.

    Args:
        samples: `[...]`, unsigned, where 0 is white.
        nodata: the sample that means no data, which does not count.
        bits: of a sample, as the file declares.
    """
    if bits == 16:
        known = samples if nodata is None else samples[samples != nodata]
        bits = max(8, int(known.max(initial=0)).bit_length())
    return (1 << bits) - 1


def uneven_pixels(across: float, down: float) -> tuple[str, ...]:
    """Warn where a file without georeference says that its pixels are not square.

    Args:
        across: pixels per unit of length, from column to column.
        down: likewise from row to row.
    """
    if not (across > 0 and down > 0) or abs(across / down - 1.0) <= UNEVEN_TOLERANCE:
        return ()
    return (
        f"the file says that its pixels are not square ({across:g} : {down:g} pixels per unit), "
        "but they were taken as squares; resample the chip if lengths are wrong",
    )


def plain_reason(error: BaseException) -> str:
    """Return GDAL's own words without the name of the file in memory, printable and short."""
    cause = error.__cause__ if isinstance(error.__cause__, CPLE_BaseError) else error
    return _printable(getattr(cause, "errmsg", None) or str(cause) or type(cause).__name__)


def _printable(text: str) -> str:
    text = re.sub(r"(?:/vsimem/)?[0-9a-f-]{36}(?:/[0-9a-f-]{36})?(?:\.\w+)?[:,]?\s*", "", text)
    return "".join(c if c.isprintable() else "?" for c in text)[:200].strip()


@contextmanager
def gdal_warnings(logger: str) -> Iterator[list[str]]:
    """Collect what GDAL and its libraries warn of, which rasterio only logs.

    Args:
        logger: `rasterio._err` hears the decoders, `rasterio._env` what reads the directory.

    Returns:
        a list that grows with each warning of this thread.
    """
    found = _Warnings()
    log = logging.getLogger(logger)
    log.addHandler(found)
    try:
        yield found.texts
    finally:
        log.removeHandler(found)


class _Warnings(logging.Handler):
    """Keeps the warnings of the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.texts.append(_printable(record.getMessage().partition(":")[2]))


def ignore_missing_georeference() -> None:
    """Ignore rasterio's warning about a missing georeference, which a chip need not have."""
    ignore_warnings(NotGeoreferencedWarning)


def ignore_warnings(category: type[Warning], module: str = "") -> None:
    """Ignore warnings of a kind, from modules whose names begin with this regular expression.

    The filter is added once and stays: `warnings.catch_warnings` is not safe between threads.
    """
    known = any(
        (action, kind, getattr(pattern, "pattern", "")) == ("ignore", category, module)
        for action, _, kind, pattern, _ in warnings.filters
    )
    if not known:
        warnings.filterwarnings("ignore", category=category, module=module)
