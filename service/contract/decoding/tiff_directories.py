"""Read the directories of a TIFF: of each, the tags that decide whether it is safe to decode.

Source: TIFF 6.0, section 2, the BigTIFF design, and TIFF technical note 1 on inner directories.
"""

import struct
from contextlib import suppress
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from service.contract.errors import CorruptChipError, UnsupportedFormatError

MAX_PAGES = 32
MAX_ENTRIES = 4096
MAX_SEGMENTS = 200_000
"""Most strips or tiles of a page; the largest legal chip in tiles of 16 x 16 has 16,384 a band."""
MAX_TIE_POINTS = 10_000
"""Most ground control points, of which libtiff reads 10,922; a Sentinel-1 scene has 210."""
MAX_TEXT_BYTES = 2**18
"""Most bytes of one text; GDAL takes seconds to parse megabytes of metadata."""
HEADER_BYTES = 8


class Tag(IntEnum):
    """Tags of TIFF 6.0, of GeoTIFF and of GDAL."""

    SUBFILE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    PIXEL_SCALE = 33550
    TIE_POINTS = 33922
    MODEL_MATRIX = 34264
    GDAL_METADATA = 42112
    NO_DATA = 42113


END = 0  # not a tag of TIFF
_INNER = {330, 34665, 34853}
"""Tags of directories of other pictures, EXIF data and positions of a camera."""
_GEOREFERENCE = {Tag.PIXEL_SCALE, Tag.TIE_POINTS, Tag.MODEL_MATRIX}
_TEXTS = {Tag.GDAL_METADATA, Tag.NO_DATA}
_WANTED = {*Tag, *_INNER} - {*_GEOREFERENCE, *_TEXTS}
_COUNTED: dict[int, tuple[str, int]] = {
    Tag.STRIP_OFFSETS: ("strips", MAX_SEGMENTS),
    Tag.TILE_OFFSETS: ("tiles", MAX_SEGMENTS),
    Tag.STRIP_BYTES: ("strips", MAX_SEGMENTS),
    Tag.TILE_BYTES: ("tiles", MAX_SEGMENTS),
    # Three pixel and three map coordinates for each point.
    Tag.TIE_POINTS: ("tie point coordinates", 6 * MAX_TIE_POINTS),
}
_BYTE, _ASCII, _DOUBLE = 1, 2, 12
_TEXT_TYPES = {_BYTE, _ASCII, 6, 7}
_INTEGER_TYPES = dict.fromkeys((4, 13), "u4") | dict.fromkeys((16, 18), "u8")
_INTEGER_TYPES |= {1: "u1", 3: "u2", 6: "i1", 8: "i2", 9: "i4", 17: "i8"}
_OTHER_TYPE_BYTES = {2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8}

Tags = dict[int, NDArray[np.int64]]
"""The wanted tags of a directory, each with its integers `[N]`, or the count of its doubles; and
`END`: where the bytes end that it describes."""


def walk(data: bytes) -> list[Tags]:
    """Read the wanted tags of each directory in the chain.

    Raises:
        CorruptChipError: the chain is a circle, or a directory is damaged or repeats a tag.
        UnsupportedFormatError: there are too many.
        struct.error, KeyError, OverflowError, ValueError: a directory is damaged or ends early.
    """
    order, big = _byte_order(data)
    (offset,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    directories: list[Tags] = []
    visited: set[int] = set()
    while offset:
        if offset in visited:
            raise CorruptChipError("the TIFF's directories run in a circle; write the file anew")
        if len(visited) == MAX_PAGES:
            raise _too_many_pages()
        visited.add(offset)
        tags, offset = _directory(data, order, big, offset)
        directories.append(tags)
    return directories


def _too_many_pages() -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"the TIFF holds more than {MAX_PAGES} pages; send one file per chip with one page"
    )


def inner_directories(data: bytes, directories: list[Tags]) -> list[Tags]:
    """Return the sound directories of other pictures, EXIF data and positions, also nested ones.

    Raises:
        UnsupportedFormatError: there are too many.
    """
    order, big = _byte_order(data)
    places = _inner_places(directories)
    found: list[Tags] = []
    for offset in places:  # a list that grows
        if len(places) > MAX_PAGES:
            raise _too_many_pages()
        with suppress(struct.error, OverflowError, ValueError, CorruptChipError):
            tags, following = _directory(data, order, big, offset)
            found.append(tags)
            chained = [following] if following and Tag.WIDTH in tags else []
            places += [at for at in _inner_places([tags]) + chained if at not in places]
    return found


def _inner_places(directories: list[Tags]) -> list[int]:
    return [int(at) for tags in directories for tag in _INNER & tags.keys() for at in tags[tag]]


def first(tags: Tags, tag: int, default: int) -> int:
    """Return the first value of a tag, or the default if the directory has none."""
    return int(tags[tag][0]) if tag in tags else default


def last_end(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
    """Return the byte after the last of several strips or tiles."""
    known = min(len(starts), len(lengths))
    return int((starts[:known] + lengths[:known]).max(initial=HEADER_BYTES))


def _byte_order(data: bytes) -> tuple[str, bool]:
    """Return the byte order as `struct` writes it; and whether the file is a BigTIFF."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (magic,) = struct.unpack_from(order + "H", data, 2)
    return order, magic == 43


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
    end = start + entries * entry_bytes + struct.calcsize(order + word)
    for at in range(start, start + entries * entry_bytes, entry_bytes):
        tag, kind, count = struct.unpack_from(order + "HH" + word, data, at)
        # Readers differ in which of two equal tags they use, so none could be checked.
        if tag in seen:
            raise CorruptChipError(f"a TIFF directory holds tag {tag} twice; write the file anew")
        seen.add(tag)
        _check_count(tag, kind, count)
        end = max(end, _end_of_values(data, order + word, at + 4, kind, count))
        if tag in _WANTED and count and kind in _INTEGER_TYPES:
            tags[tag] = _integers(data, order, word, at + 4, kind, min(count, MAX_SEGMENTS))
        elif tag in _TEXTS and count and kind in _TEXT_TYPES:
            tags[tag] = _integers(data, order, word, at + 4, _BYTE, min(count, MAX_TEXT_BYTES))
        elif tag in _GEOREFERENCE and kind == _DOUBLE:
            tags[tag] = np.array([count])  # GDAL reads the values
    (following,) = struct.unpack_from(order + word, data, start + entries * entry_bytes)
    for starts, lengths in (
        (Tag.STRIP_OFFSETS, Tag.STRIP_BYTES),
        (Tag.TILE_OFFSETS, Tag.TILE_BYTES),
    ):
        if starts in tags:
            end = max(end, last_end(tags[starts], tags[lengths]) if lengths in tags else len(data))
    tags[END] = np.array([min(end, len(data))])
    return tags, int(following)


def _end_of_values(data: bytes, word: str, at: int, kind: int, count: int) -> int:
    """Return where the values of an entry end whose count stands at `at`; 0 if they stand in it."""
    whole = _INTEGER_TYPES.get(kind)
    size = count * (int(whole[1:]) if whole else _OTHER_TYPE_BYTES.get(kind, 0))
    if size <= struct.calcsize(word):
        return 0
    (value_at,) = struct.unpack_from(word, data, at + struct.calcsize(word))
    return int(value_at) + size


def _integers(
    data: bytes, order: str, word: str, at: int, kind: int, count: int
) -> NDArray[np.int64]:
    """Return the first values of an entry whose count stands at `at`.

    Raises:
        ValueError: they lie outside the file.
        CorruptChipError: one is negative, or larger than any file.
    """
    kept = np.dtype(order + _INTEGER_TYPES[kind])
    value_at = at + struct.calcsize(order + word)
    if count * kept.itemsize > struct.calcsize(order + word):
        (value_at,) = struct.unpack_from(order + word, data, value_at)
    values = np.frombuffer(data, kept, count, value_at).astype(np.int64)
    if values.min() < 0:
        raise CorruptChipError(
            "a TIFF directory holds a number that is negative or too large; write the file anew"
        )
    return values


def _check_count(tag: int, kind: int, count: int) -> None:
    what, most = _COUNTED.get(tag, ("", count))
    if count > most:
        raise CorruptChipError(
            f"the TIFF has {count} {what}, at most {most} are read; write it anew with larger "
            f"strips or tiles, or with fewer ground control points"
        )
    if kind == _ASCII and count > MAX_TEXT_BYTES:
        raise CorruptChipError(
            f"the TIFF has a text of {count} bytes in tag {tag}, at most {MAX_TEXT_BYTES} are "
            "read; write it anew without this metadata"
        )
