"""TIFF files written tag by tag, for layouts that no library writes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LONG, LONG8 = 4, 16


@dataclass(frozen=True, slots=True)
class Page:
    """One uncompressed page.

    Attributes:
        samples: uint8 or float32 `[H, W]`.
        subfile: 0 full resolution, 1 reduced, 4 mask.
        extra: further entries (tag, value), written after the others of the same tag.
    """

    samples: NDArray[np.uint8] | NDArray[np.float32]
    subfile: int = 0
    extra: tuple[tuple[int, int], ...] = ()


def write_tiff(
    pages: Sequence[Page], *, order: Literal["<", ">"] = "<", big: bool = False
) -> bytes:
    """Write pages one after the other, as classic TIFF or BigTIFF in either byte order."""
    word, count_format = ("Q", "Q") if big else ("I", "H")
    data = bytearray({"<": b"II", ">": b"MM"}[order])
    data += struct.pack(order + "H", 43 if big else 42)
    if big:
        data += struct.pack(order + "HH", 8, 0)
    link = len(data)
    data += struct.pack(order + word, 0)
    for page in pages:
        pixels = page.samples.astype(page.samples.dtype.newbyteorder(order)).tobytes()
        offset = len(data)
        data += pixels + b"\0" * (len(pixels) % 2)
        height, width = page.samples.shape
        is_float = page.samples.dtype.kind == "f"
        entries = [
            (254, page.subfile),
            (256, width),
            (257, height),
            (258, 8 * page.samples.dtype.itemsize),
            (259, 1),
            (262, 1),
            (273, offset),
            (277, 1),
            (278, height),
            (279, len(pixels)),
            (339, 3 if is_float else 1),
            *page.extra,
        ]
        struct.pack_into(order + word, data, link, len(data))
        data += struct.pack(order + count_format, len(entries))
        for tag, value in sorted(entries, key=lambda entry: entry[0]):
            data += struct.pack(order + "HH" + word + word, tag, LONG8 if big else LONG, 1, value)
        link = len(data)
        data += struct.pack(order + word, 0)
    return bytes(data)
