"""Bound what PNG and JPEG files cost before they are decoded, by what can be counted in them."""

import struct

from service.contract.errors import CorruptChipError

MAX_SCANS = 64
"""Scans of a JPEG: each is a pass over all pixels; progressive encoders write about ten."""
MAX_MARKERS = 20_000
MAX_CHUNKS = 20_000
"""Chunks of a PNG; a picture of 32 MB in the usual chunks of 8 kB has 4,000."""
_PNG_SIGNATURE_BYTES = 8
_CHUNK = struct.Struct(">I4s")
_CHECKSUM_BYTES = 4


def require_bounded_jpeg(data: bytes) -> None:
    """Reject a JPEG of too many scans or restarts.

    The bytes FF and a marker code stand in compressed data only as markers, so counting them
    bounds the work; thumbnails in headers count too, which harms nobody.

    Raises:
        CorruptChipError: there are more than any encoder writes.
    """
    scans = data.count(b"\xff\xda")
    tables = data.count(b"\xff\xc4") + data.count(b"\xff\xdb")
    if scans > MAX_SCANS or tables > MAX_MARKERS:
        raise CorruptChipError(
            f"the JPEG has {scans} scans and {tables} tables, at most {MAX_SCANS} scans are "
            "decoded; save it anew as a baseline JPEG"
        )


def require_bounded_png(data: bytes) -> None:
    """Reject a PNG of too many chunks.

    Raises:
        CorruptChipError: there are more than any encoder writes.
    """
    at, chunks = _PNG_SIGNATURE_BYTES, 0
    while at + _CHUNK.size <= len(data):
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise CorruptChipError(
                f"the PNG has more than {MAX_CHUNKS} chunks; save it anew with larger ones"
            )
        length, name = _CHUNK.unpack_from(data, at)
        if name == b"IEND":
            return
        at += _CHUNK.size + length + _CHECKSUM_BYTES
