"""Read the directory of a TIFF before any library decodes the file.

Only the numbers that decide whether the file is safe to decode are read: its pages, their size,
sample layout and orientation. Source: TIFF 6.0, section 2, and the BigTIFF design.
"""

import struct
from dataclasses import dataclass

from service.contract.errors import CorruptChipError, UnsupportedFormatError

MAX_PAGES = 32
MAX_ENTRIES = 4096

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 254, 256, 257, 258, 262
_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 274, 277, 322, 323
_WANTED = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC}
    | {_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT}
)
_REDUCED_OR_MASK = 1 | 4
_INTEGER_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}

Tags = dict[int, int]


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One full-resolution page.

    Attributes:
        width: columns, in pixels, as stored.
        height: rows, in pixels, as stored.
        bits: bits of the first sample of a pixel.
        samples: samples per pixel.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, …
        orientation: 1 to 8, as in EXIF; 1 is upright.
        tile_pixels: pixels of one tile, 0 for strips.
    """

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    orientation: int
    tile_pixels: int

    @property
    def bytes_per_pixel(self) -> int:
        """Size of one decoded pixel of all bands, in bytes."""
        return self.samples * max(1, (self.bits + 7) // 8)


def read_only_page(data: bytes) -> TiffPage:
    """Return the only full-resolution page of a TIFF or BigTIFF; skip overviews and masks.

    Raises:
        CorruptChipError: the header or a directory is damaged or ends early, or the chain of
            directories is circular.
        UnsupportedFormatError: the file contains several pictures.
    """
    try:
        pages = [tags for tags in _walk(data) if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK]
    except (struct.error, KeyError, OverflowError) as error:
        raise CorruptChipError(
            "the TIFF's directory is damaged or ends early; send the complete file"
        ) from error
    if len(pages) > 1:
        raise UnsupportedFormatError(
            f"the TIFF holds {len(pages)} pages; send one file per chip with one page"
        )
    if not pages or _WIDTH not in pages[0] or _HEIGHT not in pages[0]:
        raise CorruptChipError("the TIFF names no picture size; send the complete file")
    return _page(pages[0])


def _page(tags: Tags) -> TiffPage:
    orientation = tags.get(_ORIENTATION, 1)
    return TiffPage(
        width=tags[_WIDTH],
        height=tags[_HEIGHT],
        bits=tags.get(_BITS, 1),
        samples=tags.get(_SAMPLES, 1),
        photometric=tags.get(_PHOTOMETRIC, 1),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        tile_pixels=tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0),
    )


def _walk(data: bytes) -> list[Tags]:
    """Return the wanted tags of each directory in the chain."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (magic,) = struct.unpack_from(order + "H", data, 2)
    big = magic == 43
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    pages: list[Tags] = []
    visited: set[int] = set()
    while offset:
        if offset in visited:
            raise CorruptChipError("the TIFF's directories run in a circle; write the file anew")
        if len(visited) == MAX_PAGES:
            raise UnsupportedFormatError(
                f"the TIFF holds more than {MAX_PAGES} pages; send one file per chip with one page"
            )
        visited.add(offset)
        tags, offset = _directory(data, order, big, offset)
        pages.append(tags)
    return pages


def _directory(data: bytes, order: str, big: bool, offset: int) -> tuple[Tags, int]:
    """Read a directory: its wanted tags and the offset of the next directory, 0 at the end."""
    count_format, word, entry_bytes = ("Q", "Q", 20) if big else ("H", "I", 12)
    (entries,) = struct.unpack_from(order + count_format, data, offset)
    if entries > MAX_ENTRIES:
        raise CorruptChipError(
            f"a TIFF directory claims {entries} entries, at most {MAX_ENTRIES} make sense; "
            f"write the file anew"
        )
    start = offset + struct.calcsize(order + count_format)
    tags: Tags = {}
    for at in range(start, start + entries * entry_bytes, entry_bytes):
        tag, kind, count = struct.unpack_from(order + "HH" + word, data, at)
        if tag in _WANTED and count and kind in _INTEGER_TYPES:
            letter, size = _INTEGER_TYPES[kind]
            value_at = at + 4 + struct.calcsize(order + word)
            if count * size > struct.calcsize(order + word):
                (value_at,) = struct.unpack_from(order + word, data, value_at)
            (tags[tag],) = struct.unpack_from(order + letter, data, value_at)
    (following,) = struct.unpack_from(order + word, data, start + entries * entry_bytes)
    return tags, int(following)
