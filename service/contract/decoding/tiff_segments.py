"""Bound what the strips or tiles of a TIFF cost, and check them, before GDAL decodes them."""

import lzma
import zlib

import numpy as np

from service.contract.decoding.limits import MAX_DECODED_BYTES
from service.contract.decoding.picture_bounds import SPARE_BYTES, jpeg_header, require_bounded_scans
from service.contract.decoding.tiff_directories import HEADER_BYTES
from service.contract.decoding.tiff_layout import TiffPage
from service.contract.errors import CorruptChipError

UNCOMPRESSED, LZW, JPEG, LZMA, WEBP = 1, 5, 7, 34925, 50001
DEFLATE = {8, 32946}
MAX_COMPRESSED_SHARE = 2
"""Compressed samples are seldom longer than the samples, and never twice as long."""
SPARE_SEGMENT_BYTES = 1024
"""For the tables and headers of one strip or tile."""
MAX_PADDING_BYTES = 3
"""Writers pad strips and tiles to whole words."""
BLANK_END_BYTES = 32
"""Encoders of LZW and WebP write no such run of zeros; others may, or have a checksum."""
MAX_LZMA_BYTES = 2**27
"""Memory for the dictionary; the largest preset of xz takes 65 MiB."""


def require_bounded_segments(data: bytes, page: TiffPage) -> None:
    """Reject strips or tiles that cost more to decode than the picture justifies.

    Their compressed bytes are compared with the samples that they hold: several may share the same
    bytes, and compressed data may consist of codes that yield no sample.

    Raises:
        CorruptChipError: one is larger than a picture may be, or they have too many bytes, or
            overlap, or a JPEG in one is larger than its strip or tile, or has too many scans; or
            one can be known to be damaged, by its length or its checksum.
    """
    area = page.segment_width * page.segment_height
    if area * page.bytes_per_pixel > MAX_DECODED_BYTES:
        raise CorruptChipError(
            f"one tile of the TIFF claims {area} pixels, more than the picture may have; write the "
            "file with tiles of 256 x 256 or with strips"
        )
    uncounted = page.compression == UNCOMPRESSED and not len(page.byte_counts)
    if len(page.offsets) != page.segments or not (
        uncounted or len(page.byte_counts) == page.segments
    ):
        raise CorruptChipError(
            f"the TIFF does not name one place and length for each of the {page.segments} strips "
            "or tiles; write the file anew"
        )
    _require_own_places(page)
    if page.compression == UNCOMPRESSED:
        _require_whole_samples(page)
        return
    if page.compression in {LZW, WEBP}:
        _require_no_blank_end(data, page)
    counts = page.byte_counts
    decoded = page.segments * area * page.bytes_per_sample * (1 if page.separate else page.samples)
    longest = MAX_COMPRESSED_SHARE * decoded + SPARE_SEGMENT_BYTES * page.segments + SPARE_BYTES
    if int(counts.sum()) > longest:
        raise CorruptChipError(
            f"the TIFF has {int(counts.sum())} bytes of compressed data for {decoded} bytes of "
            "samples; write the file anew"
        )
    if page.compression in {*DEFLATE, LZMA}:
        _require_intact_streams(data, page)
    if page.compression == JPEG:
        for start, length in zip(page.offsets.tolist(), counts.tolist(), strict=True):
            if length:
                _require_bounded_jpeg(data, page, start, min(start + length, len(data)))


def _require_own_places(page: TiffPage) -> None:
    """Reject strips or tiles that overlap each other or the header; some may be the same bytes."""
    counts = page.byte_counts
    places = np.unique(np.stack([page.offsets[: len(counts)], counts], axis=1)[counts > 0], axis=0)
    if len(places) and (places[0, 0] < HEADER_BYTES or (places[:-1].sum(1) > places[1:, 0]).any()):
        raise CorruptChipError(
            "strips or tiles of the TIFF overlap each other or its header; write the file anew"
        )


def _require_no_blank_end(data: bytes, page: TiffPage) -> None:
    """Reject strips or tiles that end with zeros, which decoders take for codes of samples.

    Files end so whose space was reserved before they were copied.
    """
    ends = page.offsets + page.byte_counts
    for end in ends[page.byte_counts > BLANK_END_BYTES].tolist():
        if data.endswith(bytes(BLANK_END_BYTES), 0, end):
            raise CorruptChipError(
                "a compressed strip or tile of the TIFF ends with zeros, as where a file was not "
                "copied whole; send the complete file"
            )


def _require_whole_samples(page: TiffPage) -> None:
    """Reject uncompressed strips or tiles of another length than their samples have."""
    for size in np.unique(page.byte_counts[page.byte_counts > 0]).tolist():
        _require_length(page, size, MAX_PADDING_BYTES)


def _require_intact_streams(data: bytes, page: TiffPage) -> None:
    """Reject compressed strips or tiles whose checksum or length is wrong.

    libtiff stops where it has the samples, before the checksum.
    """
    most = page.stored_bytes[0] + 1
    for start, size in zip(page.offsets.tolist(), page.byte_counts.tolist(), strict=True):
        if not size:
            continue
        stream = (
            zlib.decompressobj()
            if page.compression in DEFLATE
            else lzma.LZMADecompressor(memlimit=MAX_LZMA_BYTES)
        )
        try:
            length = len(stream.decompress(data[start : start + size], most))
        except (zlib.error, lzma.LZMAError) as error:
            raise CorruptChipError(
                f"a strip or tile of the TIFF is damaged ({error}); send the complete file"
            ) from error
        _require_length(page, length)


def _require_length(page: TiffPage, length: int, padding: int = 0) -> None:
    """Reject a strip or tile that is not as long as its samples and at most `padding` bytes."""
    if not any(0 <= length - stored <= padding for stored in page.stored_bytes):
        raise CorruptChipError(
            f"a strip or tile of the TIFF holds {length} bytes of samples, and its directory "
            f"announces {page.stored_bytes[0]}; send the complete file, or write it anew"
        )


def _require_bounded_jpeg(data: bytes, page: TiffPage, start: int, stop: int) -> None:
    header = jpeg_header(data, start, stop)
    if header.width > page.segment_width or header.height > page.segment_height:
        raise CorruptChipError(
            f"a strip or tile of the TIFF holds a JPEG of {header.width} x {header.height} pixels, "
            f"and has {page.segment_width} x {page.segment_height}; write the file anew"
        )
    require_bounded_scans(header, data[header.scan_at : stop])
