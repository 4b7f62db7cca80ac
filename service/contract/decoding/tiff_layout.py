"""Read the directories of a TIFF before any library decodes it.

Only the tags that decide whether the file is safe and fit to decode are read: pages, their size,
sample layout, compression and orientation. Source: TIFF 6.0, section 2, and the BigTIFF design.
"""

import struct
from dataclasses import dataclass

from service.contract.errors import CorruptChipError, UnsupportedFormatError

MAX_PAGES = 32
MAX_ENTRIES = 4096
MAX_SEGMENTS = 200_000
"""Most strips or tiles of a page; the largest legal chip in tiles of 16 x 16 has 16,384 a band."""
MAX_TIE_POINTS = 20_000
"""Most ground control points; a Sentinel-1 scene has 210."""

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 274, 277, 322, 323, 339
_STRIP_OFFSETS, _TILE_OFFSETS, _TIE_POINTS = 273, 324, 33922
_WANTED = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC}
    | {_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT}
)
_SEGMENTS = -1
"""Stands in `Tags` for the number of strips or tiles."""
_COUNTED = {
    _STRIP_OFFSETS: ("strips", MAX_SEGMENTS),
    _TILE_OFFSETS: ("tiles", MAX_SEGMENTS),
    # Three pixel and three map coordinates for each point.
    _TIE_POINTS: ("tie point coordinates", 6 * MAX_TIE_POINTS),
}
_REDUCED_OR_MASK = 1 | 4
_INTEGER_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}
_FLOAT = 3
_IMPLIED = {_BITS: 1, _COMPRESSION: 1, _PHOTOMETRIC: 1, _SAMPLES: 1, _SAMPLE_FORMAT: 1}

Tags = dict[int, int]


@dataclass(frozen=True, slots=True)
class TiffPage:
    """The full-resolution page of a TIFF.

    Attributes:
        index: its place among the directories of the file, from 0.
        width: columns, in pixels, as stored.
        height: rows, in pixels, as stored.
        bits: bits of the first sample of a pixel.
        samples: samples per pixel.
        sample_format: 1 unsigned, 2 signed, 3 float, 5 complex integer, 6 complex float.
        compression: the code of the TIFF tag, e.g. 1 none, 5 LZW, 7 JPEG, 8 Deflate.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, …
        orientation: 1 to 8, as in EXIF; 1 is upright.
        tile_pixels: pixels of one tile, 0 for strips.
        segments: number of strips or tiles.
    """

    index: int
    width: int
    height: int
    bits: int
    samples: int
    sample_format: int
    compression: int
    photometric: int
    orientation: int
    tile_pixels: int
    segments: int

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one decoded sample, in the types that decoders have."""
        if self.sample_format == _FLOAT:
            return 4 if self.bits <= 32 else 8
        whole = max(1, (self.bits + 7) // 8)
        return next(size for size in (1, 2, 4, 8, 16, whole) if size >= whole)

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one decoded pixel of all bands."""
        return self.samples * self.bytes_per_sample


def read_full_page(data: bytes) -> TiffPage:
    """Return the one full-resolution page of a TIFF or BigTIFF, passing over overviews and masks.

    Raises:
        CorruptChipError: the header or a directory is damaged, ends early, runs in a circle,
            repeats a tag, or calls a page an overview that is larger than the picture.
        UnsupportedFormatError: the file holds several pictures.
    """
    try:
        directories = _walk(data)
    except (struct.error, KeyError, OverflowError) as error:
        raise CorruptChipError(
            "the TIFF's directory is damaged or ends early; send the complete file"
        ) from error
    full = [i for i, tags in enumerate(directories) if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK]
    if len(full) > 1:
        raise UnsupportedFormatError(
            f"the TIFF holds {len(full)} pages; send one file per chip with one page"
        )
    if not full or _WIDTH not in directories[full[0]] or _HEIGHT not in directories[full[0]]:
        raise CorruptChipError("the TIFF names no picture size; send the complete file")
    page = _page(full[0], directories[full[0]])
    _require_smaller_overviews(page, directories)
    return page


def _require_smaller_overviews(page: TiffPage, directories: list[Tags]) -> None:
    """Reject an overview or mask that is larger than the picture: readers may open it instead."""
    for tags in directories:
        width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
        if width > page.width or height > page.height:
            raise CorruptChipError(
                f"the TIFF marks a page of {width} x {height} pixels as an overview or mask of a "
                f"picture of {page.width} x {page.height}; send the picture alone"
            )


def _page(index: int, tags: Tags) -> TiffPage:
    tags = _IMPLIED | tags
    orientation = tags.get(_ORIENTATION, 1)
    return TiffPage(
        index=index,
        width=tags[_WIDTH],
        height=tags[_HEIGHT],
        bits=tags[_BITS],
        samples=tags[_SAMPLES],
        sample_format=tags[_SAMPLE_FORMAT],
        compression=tags[_COMPRESSION],
        photometric=tags[_PHOTOMETRIC],
        orientation=orientation if 1 <= orientation <= 8 else 1,
        tile_pixels=tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0),
        segments=max(1, tags.get(_SEGMENTS, 1)),
    )


def _walk(data: bytes) -> list[Tags]:
    """Read the wanted tags of each directory in the chain."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (magic,) = struct.unpack_from(order + "H", data, 2)
    big = magic == 43
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    directories: list[Tags] = []
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
        directories.append(tags)
    return directories


def _directory(data: bytes, order: str, big: bool, offset: int) -> tuple[Tags, int]:
    """Read one directory: its wanted tags, and the offset of the next one, 0 at the end."""
    count_format, word, entry_bytes = ("Q", "Q", 20) if big else ("H", "I", 12)
    (entries,) = struct.unpack_from(order + count_format, data, offset)
    if entries > MAX_ENTRIES:
        raise CorruptChipError(
            f"a TIFF directory claims {entries} entries, at most {MAX_ENTRIES} make sense; "
            f"write the file anew"
        )
    start = offset + struct.calcsize(order + count_format)
    tags: Tags = {}
    seen: set[int] = set()
    for at in range(start, start + entries * entry_bytes, entry_bytes):
        tag, kind, count = struct.unpack_from(order + "HH" + word, data, at)
        # Readers differ in which of two equal tags they use, so none could be checked.
        if tag in seen:
            raise CorruptChipError(f"a TIFF directory holds tag {tag} twice; write the file anew")
        seen.add(tag)
        _check_count(tag, count)
        if tag in (_STRIP_OFFSETS, _TILE_OFFSETS):
            tags[_SEGMENTS] = count
        if tag in _WANTED and count and kind in _INTEGER_TYPES:
            letter, size = _INTEGER_TYPES[kind]
            value_at = at + 4 + struct.calcsize(order + word)
            if count * size > struct.calcsize(order + word):
                (value_at,) = struct.unpack_from(order + word, data, value_at)
            (tags[tag],) = struct.unpack_from(order + letter, data, value_at)
    (following,) = struct.unpack_from(order + word, data, start + entries * entry_bytes)
    return tags, int(following)


def _check_count(tag: int, count: int) -> None:
    what, most = _COUNTED.get(tag, ("", count))
    if count > most:
        raise CorruptChipError(
            f"the TIFF has {count} {what}, at most {most} are read; write it anew with larger "
            f"strips or tiles, or with fewer ground control points"
        )
