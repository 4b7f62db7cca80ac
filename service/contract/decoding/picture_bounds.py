"""Bound what PNG and JPEG files cost before they are decoded, by what can be counted in them.

A decoder gets only the parts of a file that make its picture. Texts, colour profiles, thumbnails
and previews are dropped: they may be large, compressed or many, and nothing here uses them.
"""

import re
import struct
from dataclasses import dataclass

from service.contract.errors import CorruptChipError, UnsupportedFormatError

MAX_CHUNKS = 20_000
"""Chunks of a PNG; a picture of 32 MB in the usual chunks of 8 kB has 4,000."""
MAX_HEADERS = 1000
"""Segments of a JPEG before its pixels; a camera writes about twenty."""
MAX_SCANS = 64
"""Scans of a JPEG: each is a pass over all pixels; progressive encoders write six to twenty."""
MAX_SCANNED_PIXELS = 24 * 4 * 1024 * 1024
"""Scans times pixels: 24 scans of the largest picture."""
MAX_EXIF_BYTES = 2**16
"""What one JPEG segment holds; of longer EXIF data not even the orientation is read."""
GAMMA_BYTES = 4
SPARE_BYTES = 2**16
"""Compressed data of any picture may be longer than a multiple of its pixels by so much."""
MAX_JPEG_BYTES_PER_PIXEL = 8
"""Noise in four colours at the best quality takes five."""

_PNG_SIGNATURE_BYTES = 8
_CHUNK = struct.Struct(">I4s")
_CHECKSUM_BYTES = 4
_ONCE = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"pHYs", b"gAMA"}
_PICTURE_CHUNKS = {*_ONCE, b"IDAT", b"IEND"}

_FILL = re.compile(rb"\xff*")
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_SCAN, _COMMENT, _EXIF, _ADOBE = 0xDA, 0xFE, 0xE1, 0xEE
_STANDALONE = {0x01, *range(0xD0, 0xDA)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_DECODED_FRAMES = {0xC0, 0xC1, 0xC2}
"""Baseline, extended and progressive; not lossless, hierarchical or with arithmetic coding."""
_DROPPED = {_COMMENT, *range(0xE1, 0xF0)} - {_ADOBE}
"""Comments and application data, but for Adobe's, which names the colour space."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What stands before the first scan of a JPEG.

    Attributes:
        kept: the segments that the picture needs.
    """

    width: int
    height: int
    kept: bytes
    scan_at: int


def picture_of_png(data: bytes, raw_bytes: int) -> tuple[bytes, int]:
    """Return a PNG without the chunks that its picture does not need, and what follows it.

    Args:
        data: the file, which begins with a PNG signature.
        raw_bytes: of the pixels that its header announces, once decompressed.

    Returns:
        the PNG; and how many bytes follow it, without zeros at the end.

    Raises:
        CorruptChipError: it has more chunks than any encoder writes, or compressed data that are
            longer than the pixels.
    """
    at, chunks, compressed = _PNG_SIGNATURE_BYTES, 0, 0
    kept = [data[:at]]
    once = set(_ONCE)
    while at + _CHUNK.size <= len(data):
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise CorruptChipError(
                f"the PNG has more than {MAX_CHUNKS} chunks; save it anew with larger ones"
            )
        length, name = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + length + _CHECKSUM_BYTES
        repeated = name in _ONCE and name not in once
        if name in _PICTURE_CHUNKS and not repeated and _has_usual_length(name, length):
            kept.append(data[at:end])
        once.discard(name)
        compressed += length if name == b"IDAT" else 0
        at = end
        if name == b"IEND":
            break
    if compressed > 2 * raw_bytes + SPARE_BYTES:
        raise CorruptChipError(
            f"the PNG has {compressed} bytes of compressed data for {raw_bytes} bytes of pixels; "
            "save it anew"
        )
    return b"".join(kept), len(data[at:].rstrip(b"\0"))


def _has_usual_length(name: bytes, length: int) -> bool:
    if name == b"gAMA":
        return length == GAMMA_BYTES
    return name != b"eXIf" or length <= MAX_EXIF_BYTES


def picture_of_jpeg(data: bytes, header: JpegHeader) -> tuple[bytes, int]:
    """Return a JPEG without the segments that its picture does not need, and what follows it.

    The bytes FF and a marker code stand in compressed data only as markers, so that counting them
    bounds the work.

    Returns:
        the JPEG; and how many bytes follow it, without zeros at the end.

    Raises:
        CorruptChipError: it has no end, or more scans or compressed data than any encoder writes.
    """
    end = data.find(_END_OF_IMAGE, header.scan_at)
    scanned = data[header.scan_at :] if end < 0 else data[header.scan_at : end + 2]
    require_bounded_scans(header, scanned)
    following = data[header.scan_at + len(scanned) :].rstrip(b"\0")
    return data[:2] + header.kept + scanned, len(following)


def require_bounded_scans(header: JpegHeader, scanned: bytes) -> None:
    """Reject the scans of a JPEG that have no end, or cost more than its pixels justify.

    Args:
        scanned: from the first scan on.

    Raises:
        CorruptChipError: there are too many scans, or too many bytes, or no mark of their end.
    """
    if _END_OF_IMAGE not in scanned:  # decoders take zeros in its place for pixels
        raise CorruptChipError(
            "the JPEG is truncated or damaged (it has no end mark); send the complete file"
        )
    pixels = header.width * header.height
    scans = scanned.count(_START_OF_SCAN)
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // max(pixels, 1))
    if scans > most:
        raise CorruptChipError(
            f"the JPEG has {scans} scans, at most {most} scans of {header.width} x "
            f"{header.height} pixels are decoded; save it anew as a baseline JPEG"
        )
    tables = sum(scanned.count(marker) for marker in (b"\xff\xc4", b"\xff\xdb"))
    longest = MAX_JPEG_BYTES_PER_PIXEL * pixels + SPARE_BYTES
    if tables > MAX_HEADERS or len(scanned) > longest:
        raise CorruptChipError(
            f"the JPEG has {len(scanned)} bytes and {tables} tables in its scans of "
            f"{header.width} x {header.height} pixels; save it anew as a baseline JPEG"
        )


def jpeg_header(data: bytes, start: int, stop: int) -> JpegHeader:
    """Read the segments of a JPEG in `data[start:stop]` up to its first scan.

    Raises:
        CorruptChipError: there are too many, two frames or none, or no scan.
        UnsupportedFormatError: the frame is of a kind that is not decoded.
    """
    at = start + 2
    kept: list[bytes] = []
    frame: tuple[int, int] | None = None
    exif_seen = False
    for _ in range(MAX_HEADERS):
        at = data.find(b"\xff", at, stop)
        filled = _FILL.match(data, at, stop) if at >= 0 else None
        if filled is None or filled.end() + 3 > stop:
            raise CorruptChipError(
                "the JPEG is truncated or damaged (it ends in its header); send the complete file"
            )
        at = filled.end()
        marker = data[at]
        if marker == _SCAN and frame is not None:
            return JpegHeader(*frame, b"".join(kept), at - 1)
        if marker == _SCAN:
            raise CorruptChipError("the JPEG has no frame; save it anew as a baseline JPEG")
        if marker == 0 or marker in _STANDALONE:
            at += 1
            continue
        body = data[at + 1 : at + 1 + int.from_bytes(data[at + 1 : at + 3])]
        at += 1 + max(len(body), 2)
        if marker in _FRAMES:
            if frame is not None:
                raise CorruptChipError("the JPEG has two frames; save it anew as a baseline JPEG")
            if marker not in _DECODED_FRAMES or body[2:3] != b"\x08":
                raise UnsupportedFormatError(
                    f"the JPEG is of an unusual kind (frame {marker - 0xC0}, "
                    f"{int.from_bytes(body[2:3])} bits); save it as a baseline JPEG of 8 bits"
                )
            frame = int.from_bytes(body[5:7]), int.from_bytes(body[3:5])
        is_exif = marker == _EXIF and body[2:6] == b"Exif"
        if marker not in _DROPPED or (is_exif and not exif_seen):
            kept.append(b"\xff" + bytes([marker]) + body)
        exif_seen = exif_seen or is_exif
    raise CorruptChipError(
        f"the JPEG has more than {MAX_HEADERS} segments before its pixels; save it anew without "
        "them"
    )
