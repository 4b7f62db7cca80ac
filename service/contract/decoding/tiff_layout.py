"""Find the one picture of a TIFF, its mask and its layout, before any library decodes it."""

import struct
import xml.parsers.expat
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.contract.decoding.tiff_directories import (
    END,
    Tag,
    Tags,
    first,
    inner_directories,
    last_end,
    walk,
)
from service.contract.errors import CorruptChipError, UnsupportedFormatError

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REDUCED, _MASK = 1, 4
_SEPARATE_PLANES = 2
_ASSOCIATED_ALPHA = 1
_TIE_POINT_NUMBERS = 6
MAX_TRAILER_BYTES = 4
"""GDAL repeats the last four bytes of a tile after it in cloud-optimised files."""
FLOAT, _COMPLEX = 3, (5, 6)
_IMPLIED = {
    Tag.BITS: 1,
    Tag.COMPRESSION: 1,
    Tag.PHOTOMETRIC: 1,
    Tag.SAMPLES: 1,
    Tag.SAMPLE_FORMAT: 1,
    Tag.PLANAR: 1,
}


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
        metadata_fault: why GDAL reads no names, units and scales of bands; empty where it does.
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
    metadata_fault: str
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
        directories = walk(data)
    except (struct.error, KeyError, OverflowError, ValueError) as error:
        raise CorruptChipError(
            "the TIFF's directory is damaged or ends early; send the complete file"
        ) from error
    kinds = [first(tags, Tag.SUBFILE, 0) for tags in directories]
    full = [i for i, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)]
    if len(full) > 1:
        raise UnsupportedFormatError(
            f"the TIFF holds {len(full)} pages; send one file per chip with one page"
        )
    if directories and not full:
        raise CorruptChipError(
            "the TIFF marks every page as an overview or a mask; send the picture itself"
        )
    if not full or Tag.WIDTH not in directories[full[0]] or Tag.HEIGHT not in directories[full[0]]:
        raise CorruptChipError("the TIFF names no picture size; send the complete file")
    page = _page(data, full[0], directories[full[0]])
    described = directories + inner_directories(data, directories)
    _require_largest(page, described)
    _require_single_file(data, page)
    page = replace(page, following_bytes=_following_bytes(data, described))
    return page, _mask_of(data, page, directories)


def _following_bytes(data: bytes, directories: list[Tags]) -> int:
    """Return how many bytes stand after all that the directories describe, as of a second file."""
    following = len(data[max(first(tags, END, 0) for tags in directories) :].rstrip(b"\0"))
    return following if following > MAX_TRAILER_BYTES else 0


def _require_single_file(data: bytes, page: TiffPage) -> None:
    """Reject a second TIFF after the first, as concatenated files have; it would go unseen.

    Only the first of each signature after the samples is tried, so that the cost is bounded.
    """
    end = last_end(page.offsets, page.byte_counts)
    for signature in _SIGNATURES:
        at = data.find(signature, end)
        if at < 0:
            continue
        with suppress(struct.error, KeyError, OverflowError, ValueError, CorruptChipError):
            if any(Tag.WIDTH in tags and Tag.HEIGHT in tags for tags in walk(data[at:])):
                raise UnsupportedFormatError(
                    f"a second TIFF begins at byte {at} of the file; send one file per chip"
                )


def _mask_of(data: bytes, page: TiffPage, directories: list[Tags]) -> TiffPage | None:
    """Return the mask of the full page; those of overviews are smaller."""
    masks = [
        _page(data, i, tags)
        for i, tags in enumerate(directories)
        if first(tags, Tag.SUBFILE, 0) & (_MASK | _REDUCED) == _MASK
    ]
    fitting = [mask for mask in masks if (mask.width, mask.height) == (page.width, page.height)]
    if len(masks) > len(fitting) or len(fitting) > 1 or any(mask.samples != 1 for mask in fitting):
        raise CorruptChipError(
            f"the TIFF has {len(masks)} mask(s), {len(fitting)} of them as large as its picture; "
            "one of this size and one band is read: write the file anew"
        )
    return fitting[0] if fitting else None


def _require_largest(page: TiffPage, directories: list[Tags]) -> None:
    """Reject a page larger than the picture: it is the picture, or readers may open it instead."""
    for tags in directories:
        width, height = first(tags, Tag.WIDTH, 0), first(tags, Tag.HEIGHT, 0)
        if width > page.width or height > page.height:
            raise CorruptChipError(
                f"the TIFF holds {width} x {height} pixels as an overview, mask or inner directory "
                f"of a picture of {page.width} x {page.height}; send the larger picture alone"
            )


def _page(data: bytes, index: int, tags: Tags) -> TiffPage:
    value = {tag: first(tags, tag, _IMPLIED.get(tag, 0)) for tag in Tag}
    width, height = value[Tag.WIDTH], value[Tag.HEIGHT]
    orientation = value[Tag.ORIENTATION]
    tiled = Tag.TILE_WIDTH in tags or Tag.TILE_HEIGHT in tags
    rows = min(value[Tag.ROWS_PER_STRIP] or height, height)
    nothing = np.zeros(0, np.int64)
    return TiffPage(
        index=index,
        width=width,
        height=height,
        bits=value[Tag.BITS],
        samples=value[Tag.SAMPLES],
        sample_format=value[Tag.SAMPLE_FORMAT],
        compression=value[Tag.COMPRESSION],
        photometric=value[Tag.PHOTOMETRIC],
        orientation=orientation if 1 <= orientation <= 8 else 1,
        segment_width=max(1, value[Tag.TILE_WIDTH] if tiled else width),
        segment_height=max(1, value[Tag.TILE_HEIGHT] if tiled else rows),
        separate=value[Tag.PLANAR] == _SEPARATE_PLANES,
        offsets=tags.get(Tag.TILE_OFFSETS if tiled else Tag.STRIP_OFFSETS, nothing),
        byte_counts=tags.get(Tag.TILE_BYTES if tiled else Tag.STRIP_BYTES, nothing),
        premultiplied=_ASSOCIATED_ALPHA in tags.get(Tag.EXTRA_SAMPLES, nothing),
        no_data=_text(tags, Tag.NO_DATA).decode("latin-1"),
        metadata_fault=_metadata_fault(_text(tags, Tag.GDAL_METADATA)),
        big_endian=data[:2] == b"MM",
        georeference_fault=_georeference_fault(tags),
    )


def _text(tags: Tags, tag: Tag) -> bytes:
    return bytes(tags[tag].tolist()).partition(b"\0")[0] if tag in tags else b""


def _metadata_fault(text: bytes) -> str:
    """Return where GDAL's metadata are no XML, of which GDAL then reads nothing, in silence."""
    try:
        if text:
            xml.parsers.expat.ParserCreate().Parse(text.decode(errors="replace"), True)
    except xml.parsers.expat.ExpatError as error:
        return str(error)
    return ""


def _georeference_fault(tags: Tags) -> str:
    """Return what GDAL passes over in silence (OGC 19-008r4, 7.5: the tags of a georeference)."""
    if Tag.PIXEL_SCALE not in tags:
        return ""
    if Tag.MODEL_MATRIX in tags:
        return "it has both a matrix and a pixel size"
    if first(tags, Tag.TIE_POINTS, 0) < _TIE_POINT_NUMBERS:
        return "it ties no pixel to a place"
    return ""
