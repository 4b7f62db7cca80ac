"""Bound what the strips or tiles of a TIFF cost before GDAL decodes them."""

from service.contract.decoding.picture_bounds import (
    SPARE_BYTES,
    jpeg_header,
    require_bounded_scans,
)
from service.contract.decoding.raster import ChipLimits
from service.contract.decoding.tiff_layout import TiffPage
from service.contract.errors import CorruptChipError

UNCOMPRESSED, JPEG = 1, 7
MAX_COMPRESSED_SHARE = 2
"""Compressed samples are seldom longer than the samples, and never twice as long."""
SPARE_SEGMENT_BYTES = 1024
"""For the tables and headers of one strip or tile."""


def require_bounded_segments(data: bytes, page: TiffPage, limits: ChipLimits) -> None:
    """Reject strips or tiles that cost more to decode than the picture justifies.

    Their compressed bytes are compared with the samples that they hold: several may share the same
    bytes, and compressed data may consist of codes that yield no sample.

    Raises:
        CorruptChipError: one is larger than a picture may be, or they have too many bytes, or a
            JPEG in one is larger than its strip or tile, or has too many scans.
    """
    area = page.segment_width * page.segment_height
    if area * page.bytes_per_pixel > limits.max_decoded_bytes:
        raise CorruptChipError(
            f"one tile of the TIFF claims {area} pixels, more than the picture may have; write the "
            "file with tiles of 256 x 256 or with strips"
        )
    uncounted = page.compression == UNCOMPRESSED and not len(page.byte_counts)
    if len(page.offsets) < page.segments or not (
        uncounted or len(page.byte_counts) >= page.segments
    ):
        raise CorruptChipError(
            f"the TIFF lacks the place or length of some of its {page.segments} strips or tiles; "
            "write the file anew"
        )
    if page.compression == UNCOMPRESSED:
        return
    counts = page.byte_counts[: page.segments]
    decoded = page.segments * area * page.bytes_per_sample * (1 if page.separate else page.samples)
    longest = MAX_COMPRESSED_SHARE * decoded + SPARE_SEGMENT_BYTES * page.segments + SPARE_BYTES
    if int(counts.sum()) > longest:
        raise CorruptChipError(
            f"the TIFF has {int(counts.sum())} bytes of compressed data for {decoded} bytes of "
            "samples; write the file anew"
        )
    if page.compression == JPEG:
        for start, length in zip(page.offsets.tolist(), counts.tolist(), strict=False):
            if length:
                _require_bounded_jpeg(data, page, start, min(start + length, len(data)))


def _require_bounded_jpeg(data: bytes, page: TiffPage, start: int, stop: int) -> None:
    header = jpeg_header(data, start, stop)
    if header.width > page.segment_width or header.height > page.segment_height:
        raise CorruptChipError(
            f"a strip or tile of the TIFF holds a JPEG of {header.width} x {header.height} pixels, "
            f"and has {page.segment_width} x {page.segment_height}; write the file anew"
        )
    require_bounded_scans(header, data[header.scan_at : stop])
