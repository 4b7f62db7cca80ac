"""Recognise the format of a file by its first bytes, never by its name."""

import codecs
import re
from typing import Literal

from service.contract.errors import UnsupportedFormatError

Container = Literal["TIFF", "PNG", "JPEG"]

_SUPPORTED: tuple[tuple[bytes, Container], ...] = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)
_UNPACK = "unpack it and send the chip itself"
_CONVERT = "convert it to TIFF, PNG or JPEG"
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", _UNPACK),
    (b"\x1f\x8b", "gzip data", _UNPACK),
    (b"BZh", "bzip2 data", _UNPACK),
    (b"\xfd7zXZ\x00", "xz data", _UNPACK),
    (b"\x1f\x9d", "data of compress", _UNPACK),
    (b"\x04\x22\x4d\x18", "LZ4 data", _UNPACK),
    (b"(\xb5/\xfd", "Zstandard data", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"%PDF", "a PDF document", "export the picture as TIFF, PNG or JPEG"),
    (b"GIF8", "a GIF picture", _CONVERT),
    (b"BM", "a BMP picture", _CONVERT),
    (b"\x00\x00\x01\x00", "an icon", _CONVERT),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", _CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (b"NITF", "a NITF file", _CONVERT),
    (b"NSIF", "an NSIF file", _CONVERT),
    (b"\xff\x0a", "a JPEG XL picture", _CONVERT),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", _CONVERT),
    (b"\x89PNG", "a PNG that was damaged on its way", "send it again as binary data"),
    (b"\xef\xbf\xbdPNG", "a PNG that was turned into text", "send it again as binary data"),
    (b"\x89HDF", "an HDF5 file", _CONVERT),
    (b"CDF\x01", "a NetCDF file", _CONVERT),
    (b"CDF\x02", "a NetCDF file", _CONVERT),
    (b"CDF\x05", "a NetCDF file", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"SIMPLE  =", "a FITS file", _CONVERT),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", _CONVERT),
    (b"P5\n", "a PGM picture", _CONVERT),
    (b"P6\n", "a PPM picture", _CONVERT),
    (b"\x7fELF", "a program", "send a TIFF, PNG or JPEG chip"),
    (b"MZ", "a program", "send a TIFF, PNG or JPEG chip"),
)
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|\?xml|svg|VRTDataset)", re.IGNORECASE
)


def container_of(data: bytes) -> Container:
    """Return the format of a file.

    Raises:
        UnsupportedFormatError: the format is not supported; the message names it if known.
    """
    for magic, container in _SUPPORTED:
        if data.startswith(magic):
            return container
    found, remedy = _recognise(data)
    raise UnsupportedFormatError(
        f"the file is {found}, not a chip; {remedy} (TIFF, PNG and JPEG are read)"
    )


def _recognise(data: bytes) -> tuple[str, str]:
    """Return a description of an unsupported file, and what to do about it."""
    for magic, what, remedy in _REFUSED:
        if data.startswith(magic):
            return what, remedy
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP picture", _CONVERT
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or MP4 file", _CONVERT
    if data[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if _MARKUP.match(data[:256]):
        return "an HTML or XML document", "send the picture itself, not a page or its description"
    if not data.strip(b"\x00"):
        return "nothing but zero bytes", "send the file again"
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _is_text(
        data[:512]
    ):
        return "text", "send the picture itself"
    return "of no known format", "send a TIFF, PNG or JPEG"


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters; the last character may be cut."""
    try:
        characters = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c.isspace() for c in characters)
