"""Files that are small or legal in their header and cost a decoder more than a chip may.

Each function returns one file. The expensive part grows with `times`, so that a test can tell a
bound from a file that is merely slow.
"""

import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from tests.support.inputs.chip_builders import good_jpeg, good_png
from tests.support.inputs.chip_files import picture_bytes, sar_plane

SHORT, LONG, ASCII = 3, 4, 2
PACKBITS, DEFLATE, LZW, JPEG = 32773, 8, 5, 7


def png_with(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A sound PNG with more chunks after its header."""
    data = good_png()
    return data[:33] + b"".join(_chunk(*one) for one in chunks) + data[33:]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of_profiles(times: int) -> bytes:
    """Each profile inflates to a megabyte."""
    packed = zlib.compress(bytes(1_000_000), 9)
    return png_with([(b"iCCP", b"x\0\0" + packed)] * times)


def png_of_texts(times: int) -> bytes:
    packed = zlib.compress(bytes(1_000_000), 9)
    return png_with([(b"zTXt", b"k%d\0\0" % n + packed) for n in range(times)])


def png_of_exif(times: int) -> bytes:
    """Each EXIF entry claims the whole of the same bytes."""
    return png_with([(b"eXIf", _exif(times))])


def _exif(entries: int) -> bytes:
    size = 1000 * entries
    head = b"MM\0*" + struct.pack(">IH", 8, entries)
    rows = (struct.pack(">HHII", 1 + n % 60_000, 7, size, 8) for n in range(entries))
    return head + b"".join(rows) + bytes(4 + size)


def png_of_empty_blocks(times: int) -> bytes:
    """Compressed data that yield nothing, before those of the picture."""
    side = 64
    rows = np.random.default_rng(0).integers(0, 255, (side, 3 * side), dtype=np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    body = b"\x78\x01" + b"\0\0\0\xff\xff" * times + zlib.compress(raw)[2:]
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )


def jpeg_with(segments: bytes) -> bytes:
    data = good_jpeg()
    return data[:2] + segments + data[2:]


def jpeg_of_comments(times: int) -> bytes:
    return jpeg_with(b"\xff\xfe\0\2" * times)


def jpeg_of_fill(times: int) -> bytes:
    return jpeg_with(b"\xff\xfe\0\2" + b"\xff" * times)


def jpeg_of_profiles(times: int) -> bytes:
    return jpeg_with(b"\xff\xe2\0\x11ICC_PROFILE\0\1\1x" * times)


def jpeg_of_resources(times: int) -> bytes:
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5000
    return jpeg_with((b"\xff\xed" + struct.pack(">H", len(body) + 2) + body) * times)


def jpeg_of_exif(times: int) -> bytes:
    exif = _exif(times)
    pieces = [exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    return jpeg_with(
        b"".join(
            b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece
            for piece in pieces
        )
    )


def jpeg_of_restarts(times: int) -> bytes:
    data = good_jpeg()
    return data[:-2] + b"\xff\xd0" * times + data[-2:]


def jpeg_of_scans(times: int, height: int = 1024, width: int = 1024) -> bytes:
    """The last scan of a progressive JPEG, over and over."""
    plane = np.full((height, width), 100, np.uint8)
    plane[0, 0] = 120
    data = picture_bytes(plane, "JPEG", progressive=True, quality=50)
    return data[:-2] + data[data.rfind(b"\xff\xda") : -2] * times + data[-2:]


def strips_tiff(
    width: int,
    height: int,
    compression: int,
    strip: bytes,
    *,
    strips: int = 1,
    extra: Sequence[tuple[int, int, int, bytes]] = (),
) -> bytes:
    """A TIFF of uint8 whose strips all are the same bytes of the file."""
    offsets = struct.pack("<I", 8) * strips
    lengths = struct.pack("<I", len(strip)) * strips
    entries = [
        (256, LONG, 1, struct.pack("<I", width)),
        (257, LONG, 1, struct.pack("<I", height)),
        (258, SHORT, 1, struct.pack("<H", 8)),
        (259, SHORT, 1, struct.pack("<H", compression)),
        (262, SHORT, 1, struct.pack("<H", 1)),
        (273, LONG, strips, offsets),
        (277, SHORT, 1, struct.pack("<H", 1)),
        (278, LONG, 1, struct.pack("<I", -(-height // strips))),
        (279, LONG, strips, lengths),
        *extra,
    ]
    blob = strip + bytes(len(strip) % 2)
    directory_at = 8 + len(blob)
    values_at = directory_at + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, count, value in sorted(entries):
        directory += struct.pack("<HHI", tag, kind, count)
        if len(value) <= 4:
            directory += value.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", values_at + len(values))
            values += value + bytes(len(value) % 2)
    return b"II*\0" + struct.pack("<I", directory_at) + blob + directory + bytes(4) + values


def tiff_of_shared_empty_blocks(times: int) -> bytes:
    strip = b"\x78\x01" + b"\0\0\0\xff\xff" * times + zlib.compress(bytes(1024))[2:]
    return strips_tiff(1024, 1024, DEFLATE, strip, strips=1024)


def tiff_of_shared_no_operations(times: int) -> bytes:
    return strips_tiff(1024, 1024, PACKBITS, b"\x80" * times + b"\x81\x05" * 8, strips=1024)


def tiff_of_clear_codes(times: int) -> bytes:
    return strips_tiff(64, 64, LZW, b"\x80\0" * times)


def tiff_of_scans(times: int) -> bytes:
    return strips_tiff(1024, 1024, JPEG, jpeg_of_scans(times))


def tiff_of_shared_scans(times: int) -> bytes:
    return strips_tiff(1024, 1024, JPEG, jpeg_of_scans(times, height=8), strips=128)


def tiff_of_a_taller_jpeg(times: int) -> bytes:
    return strips_tiff(1024, 1024, JPEG, jpeg_of_scans(4, height=8 * times))


def tiff_of_metadata(times: int) -> bytes:
    """Megabytes of XML, which GDAL parses when it opens a file."""
    xml = b"<GDALMetadata>" + b'<Item name="a">b</Item>' * times + b"</GDALMetadata>\0"
    samples = (sar_plane(64, 64) * 99).astype(np.uint8).tobytes()
    return strips_tiff(64, 64, 1, samples, extra=[(42112, ASCII, len(xml), xml)])


def tiff_of_a_larger_overview(side: int) -> bytes:
    """A picture of 64 x 64 pixels; what is marked as its overview has `side` x `side`."""
    data = _flat_tiff(side, (254, LONG, 1, struct.pack("<I", 1)))
    (directory_at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory_at)
    picture = bytes(range(64)) * 64
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: len(data), 277: 1, 278: 64, 279: 4096}
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, LONG, 1, value) for tag, value in tags.items()
    )
    link_at = directory_at + 2 + 12 * entries
    next_at = struct.pack("<I", len(data) + len(picture))
    return data[:link_at] + next_at + data[link_at + 4 :] + picture + directory + bytes(4)


def tiff_of_two_sizes(side: int) -> bytes:
    """One directory that announces both 64 x 64 and `side` x `side` pixels."""
    small = struct.pack("<I", 64)
    return _flat_tiff(side, (256, LONG, 1, small), (257, LONG, 1, small))


def _flat_tiff(side: int, *extra: tuple[int, int, int, bytes]) -> bytes:
    """Gigabytes of one grey, in a few kilobytes: all strips share their bytes."""
    strip = zlib.compress(b"\5" * side * 256, 9)
    return strips_tiff(side, side, DEFLATE, strip, strips=-(-side // 256), extra=extra)


BOMBS: dict[str, Callable[[], bytes]] = {
    "jpeg-scans": lambda: jpeg_of_scans(3000, 2048, 2048),
    "tiff-larger-overview": lambda: tiff_of_a_larger_overview(40_960),
    "tiff-two-sizes": lambda: tiff_of_two_sizes(40_960),
}
"""Files of at most 100 kB that take seconds or gigabytes where nothing bounds them."""

COSTLY: dict[str, tuple[Callable[[int], bytes], int]] = {
    "png-profiles": (png_of_profiles, 5000),
    "png-texts": (png_of_texts, 5000),
    "png-exif": (png_of_exif, 20_000),
    "png-empty-blocks": (png_of_empty_blocks, 2_000_000),
    "jpeg-comments": (jpeg_of_comments, 2_000_000),
    "jpeg-fill": (jpeg_of_fill, 8_000_000),
    "jpeg-profiles": (jpeg_of_profiles, 400_000),
    "jpeg-resources": (jpeg_of_resources, 120),
    "jpeg-exif": (jpeg_of_exif, 20_000),
    "jpeg-restarts": (jpeg_of_restarts, 4_000_000),
    "jpeg-scans": (jpeg_of_scans, 3000),
    "tiff-empty-blocks": (tiff_of_shared_empty_blocks, 1_000_000),
    "tiff-no-operations": (tiff_of_shared_no_operations, 5_000_000),
    "tiff-clear-codes": (tiff_of_clear_codes, 5_000_000),
    "tiff-scans": (tiff_of_scans, 3000),
    "tiff-shared-scans": (tiff_of_shared_scans, 3000),
    "tiff-taller-jpeg": (tiff_of_a_taller_jpeg, 8000),
    "tiff-metadata": (tiff_of_metadata, 500_000),
}
"""A builder of each kind, and how often its expensive part is repeated."""
