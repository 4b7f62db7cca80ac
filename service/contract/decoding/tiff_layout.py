"""Read the directories of a TIFF before any library decodes it.

Only the tags that decide whether the file is safe and fit to decode are read: pages, their size,
sample layout, compression and orientation. Source: TIFF 6.0, section 2, and the BigTIFF design.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

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
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 274, 277, 322, 323, 339
_STRIP_OFFSETS, _TILE_OFFSETS, _STRIP_BYTES, _TILE_BYTES = 273, 324, 279, 325
_ROWS_PER_STRIP, _PLANAR, _NO_DATA = 278, 284, 42113
_PIXEL_SCALE, _TIE_POINTS, _MODEL_MATRIX, _TIE_POINT_NUMBERS = 33550, 33922, 34264, 6
_EXTRA_SAMPLES, _ASSOCIATED_ALPHA = 338, 1
_INNER = {330, 34665, 34853}
"""Tags of directories of other pictures, EXIF data and positions of a camera."""
_END = 0  # not a tag of TIFF
MAX_TRAILER_BYTES = 4
"""GDAL repeats the last four bytes of a tile after it in cloud-optimised files."""
_WANTED = {
    *(_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES),
    *(_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _ROWS_PER_STRIP, _PLANAR, _EXTRA_SAMPLES),
    *(_STRIP_OFFSETS, _TILE_OFFSETS, _STRIP_BYTES, _TILE_BYTES, *_INNER),
}
_COUNTED = {
    _STRIP_OFFSETS: ("strips", MAX_SEGMENTS),
    _TILE_OFFSETS: ("tiles", MAX_SEGMENTS),
    _STRIP_BYTES: ("strips", MAX_SEGMENTS),
    _TILE_BYTES: ("tiles", MAX_SEGMENTS),
    # Three pixel and three map coordinates for each point.
    _TIE_POINTS: ("tie point coordinates", 6 * MAX_TIE_POINTS),
}
_REDUCED, _MASK = 1, 4
_SEPARATE_PLANES = 2
_BYTE, _ASCII = 1, 2
_TEXT_TYPES = {_BYTE, _ASCII, 6, 7}
_INTEGER_TYPES = dict.fromkeys((4, 13), "u4") | dict.fromkeys((16, 18), "u8")
_INTEGER_TYPES |= {1: "u1", 3: "u2", 6: "i1", 8: "i2", 9: "i4", 17: "i8"}
_OTHER_TYPE_BYTES = {2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8}
FLOAT, _COMPLEX, _DOUBLE = 3, (5, 6), 12
_IMPLIED = {_BITS: 1, _COMPRESSION: 1, _PHOTOMETRIC: 1, _SAMPLES: 1, _SAMPLE_FORMAT: 1, _PLANAR: 1}

Tags = dict[int, NDArray[np.int64]]
"""The wanted tags of a directory, each with its integers `[N]`, or the count of its doubles; and
`_END`: where the bytes end that it describes."""


@dataclass(frozen=True, slots=True)
class TiffPage:
    """The full-resolution page of a TIFF.

    Attributes:
        index: its place among the directories of the file, from 0.
        sample_format: 1 unsigned, 2 signed, 3 float, 5 complex integer, 6 complex float.
        compression: the code of the TIFF tag, e.g. 1 none, 5 LZW, 7 JPEG, 8 Deflate.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr, …
        orientation: 1 to 8, as in EXIF; 1 is upright.
        segment_width, segment_height: of one strip or tile, in pixels.
        separate: whether each band has strips or tiles of its own.
        offsets: where each strip or tile starts, int64 `[N]`.
        byte_counts: how long each is, int64 `[N]`; empty where the file does not say.
        premultiplied: whether the colours were multiplied by the alpha band already.
        no_data: GDAL's text of the value that means "no data"; empty without one.
        big_endian: whether the first byte of a number is its most significant one.
        georeference_fault: why its georeference means nothing; empty where it may mean something.
        following_bytes: bytes after all that the file describes, without zeros at the end.
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
    segment_width: int
    segment_height: int
    separate: bool
    offsets: NDArray[np.int64]
    byte_counts: NDArray[np.int64]
    premultiplied: bool
    no_data: str
    big_endian: bool
    georeference_fault: str
    following_bytes: int = 0

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one decoded sample, in the types that decoders have."""
        if self.sample_format == FLOAT:
            return 4 if self.bits <= 32 else 8
        whole = max(1, (self.bits + 7) // 8)
        return next(size for size in (1, 2, 4, 8, 16, whole) if size >= whole)

    @property
    def is_complex(self) -> bool:
        """Whether each sample has a real and an imaginary half."""
        return self.sample_format in _COMPLEX

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one decoded pixel of all bands."""
        return self.samples * self.bytes_per_sample

    @property
    def stored_bytes(self) -> tuple[int, int]:
        """Bytes of the samples of one strip or tile; and of a last strip, which may be shorter."""
        samples = self.segment_width * (1 if self.separate else self.samples)
        row = (samples * self.bits + 7) // 8
        last = self.height % self.segment_height or self.segment_height
        return row * self.segment_height, row * last

    @property
    def segments(self) -> int:
        """Number of strips or tiles that cover the page, in all bands."""
        across = -(-self.width // self.segment_width)
        down = -(-self.height // self.segment_height)
        return across * down * (self.samples if self.separate else 1)

    @property
    def absent_segments(self) -> int:
        """Number of strips or tiles that were left out, as sparse files do."""
        counts = self.byte_counts[: self.segments]
        return int(np.count_nonzero((counts == 0) & (self.offsets[: len(counts)] == 0)))


def read_full_page(data: bytes) -> tuple[TiffPage, TiffPage | None]:
    """Return the one full-resolution page of a TIFF or BigTIFF, and its mask, if it has one.

    Raises:
        CorruptChipError: the header or a directory is damaged, ends early, runs in a circle,
            or repeats a tag; or a page is larger than the picture.
        UnsupportedFormatError: the file holds several pictures.
    """
    try:
        directories = _walk(data)
    except (struct.error, KeyError, OverflowError, ValueError) as error:
        raise CorruptChipError(
            "the TIFF's directory is damaged or ends early; send the complete file"
        ) from error
    kinds = [_first(tags, _SUBFILE, 0) for tags in directories]
    full = [i for i, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)]
    if len(full) > 1:
        raise UnsupportedFormatError(
            f"the TIFF holds {len(full)} pages; send one file per chip with one page"
        )
    if directories and not full:
        raise CorruptChipError(
            "the TIFF marks every page as an overview or a mask; send the picture itself"
        )
    if not full or _WIDTH not in directories[full[0]] or _HEIGHT not in directories[full[0]]:
        raise CorruptChipError("the TIFF names no picture size; send the complete file")
    page = _page(data, full[0], directories[full[0]])
    described = directories + _inner_directories(data, directories)
    _require_largest(page, described)
    _require_single_file(data, page)
    page = replace(page, following_bytes=_following_bytes(data, described))
    return page, _mask_of(data, page, directories)


def _inner_directories(data: bytes, directories: list[Tags]) -> list[Tags]:
    """Return the directories of other pictures, EXIF data and camera positions that are sound."""
    places = (at for tags in directories for tag in _INNER & tags.keys() for at in tags[tag])
    found: list[Tags] = []
    for offset in islice(places, MAX_PAGES):
        with suppress(struct.error, OverflowError, ValueError, CorruptChipError):
            found.append(_directory(data, *_byte_order(data), int(offset))[0])
    return found


def _following_bytes(data: bytes, directories: list[Tags]) -> int:
    """Return how many bytes stand after all that the directories describe, as of a second file."""
    following = len(data[max(_first(tags, _END, 0) for tags in directories) :].rstrip(b"\0"))
    return following if following > MAX_TRAILER_BYTES else 0


def _last_end(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> int:
    known = min(len(starts), len(lengths))
    return int((starts[:known] + lengths[:known]).max(initial=HEADER_BYTES))


def _require_single_file(data: bytes, page: TiffPage) -> None:
    """Reject a second TIFF after the first, as concatenated files have; it would go unseen.

    Only the first of each signature after the samples is tried, so that the cost is bounded.
    """
    end = _last_end(page.offsets, page.byte_counts)
    for signature in _SIGNATURES:
        at = data.find(signature, end)
        if at < 0:
            continue
        with suppress(struct.error, KeyError, OverflowError, ValueError, CorruptChipError):
            if any(_WIDTH in tags and _HEIGHT in tags for tags in _walk(data[at:])):
                raise UnsupportedFormatError(
                    f"a second TIFF begins at byte {at} of the file; send one file per chip"
                )


def _mask_of(data: bytes, page: TiffPage, directories: list[Tags]) -> TiffPage | None:
    """Return the mask of the full page; those of overviews are smaller."""
    masks = [
        _page(data, i, tags)
        for i, tags in enumerate(directories)
        if _first(tags, _SUBFILE, 0) & (_MASK | _REDUCED) == _MASK
    ]
    fitting = [mask for mask in masks if (mask.width, mask.height) == (page.width, page.height)]
    if len(fitting) > 1 or any(mask.samples != 1 for mask in fitting):
        raise CorruptChipError(
            f"the TIFF has {len(fitting)} masks of the size of its picture, at most one of one "
            "band is read; write the file anew"
        )
    return fitting[0] if fitting else None


def _first(tags: Tags, tag: int, default: int) -> int:
    return int(tags[tag][0]) if tag in tags else default


def _require_largest(page: TiffPage, directories: list[Tags]) -> None:
    """Reject a page larger than the picture: it is the picture, or readers may open it instead."""
    for tags in directories:
        width, height = _first(tags, _WIDTH, 0), _first(tags, _HEIGHT, 0)
        if width > page.width or height > page.height:
            raise CorruptChipError(
                f"the TIFF holds {width} x {height} pixels as an overview, mask or inner directory "
                f"of a picture of {page.width} x {page.height}; send the larger picture alone"
            )


def _page(data: bytes, index: int, tags: Tags) -> TiffPage:
    value = {tag: _first(tags, tag, 0) for tag in _WANTED} | {
        tag: _first(tags, tag, implied) for tag, implied in _IMPLIED.items()
    }
    width, height = value[_WIDTH], value[_HEIGHT]
    orientation = value[_ORIENTATION]
    tiled = _TILE_WIDTH in tags or _TILE_HEIGHT in tags
    rows = min(value[_ROWS_PER_STRIP] or height, height)
    nothing = np.zeros(0, np.int64)
    return TiffPage(
        index=index,
        width=width,
        height=height,
        bits=value[_BITS],
        samples=value[_SAMPLES],
        sample_format=value[_SAMPLE_FORMAT],
        compression=value[_COMPRESSION],
        photometric=value[_PHOTOMETRIC],
        orientation=orientation if 1 <= orientation <= 8 else 1,
        segment_width=max(1, value[_TILE_WIDTH] if tiled else width),
        segment_height=max(1, value[_TILE_HEIGHT] if tiled else rows),
        separate=value[_PLANAR] == _SEPARATE_PLANES,
        offsets=tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, nothing),
        byte_counts=tags.get(_TILE_BYTES if tiled else _STRIP_BYTES, nothing),
        premultiplied=_ASSOCIATED_ALPHA in tags.get(_EXTRA_SAMPLES, nothing),
        no_data=bytes(tags.get(_NO_DATA, nothing).tolist()).partition(b"\0")[0].decode("latin-1"),
        big_endian=data[:2] == b"MM",
        georeference_fault=_georeference_fault(tags),
    )


def _georeference_fault(tags: Tags) -> str:
    """Return what GDAL passes over in silence (OGC 19-008r4, 7.5: the tags of a georeference)."""
    if _PIXEL_SCALE not in tags:
        return ""
    if _MODEL_MATRIX in tags:
        return "it has both a matrix and a pixel size"
    if _first(tags, _TIE_POINTS, 0) < _TIE_POINT_NUMBERS:
        return "it ties no pixel to a place"
    return ""


def _walk(data: bytes) -> list[Tags]:
    """Read the wanted tags of each directory in the chain."""
    order, big = _byte_order(data)
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
        elif tag == _NO_DATA and count and kind in _TEXT_TYPES:
            tags[tag] = _integers(data, order, word, at + 4, _BYTE, min(count, MAX_TEXT_BYTES))
        elif tag in (_PIXEL_SCALE, _TIE_POINTS, _MODEL_MATRIX) and kind == _DOUBLE:
            tags[tag] = np.array([count])  # GDAL reads the values
    (following,) = struct.unpack_from(order + word, data, start + entries * entry_bytes)
    for starts, lengths in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
        if starts in tags:
            end = max(end, _last_end(tags[starts], tags[lengths]) if lengths in tags else len(data))
    tags[_END] = np.array([min(end, len(data))])
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
