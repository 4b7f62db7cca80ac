"""Inputs that are not a chip, and the error each must raise.

One table for the decoder's unit tests and for the HTTP tests, which send each case as an upload
and expect the matching problem. Data are built on demand.
"""

import bz2
import gzip
import json
import lzma
import struct

import numpy as np

from service.contract.errors import (
    ChipSizeError,
    CorruptChipError,
    EmptyChipError,
    UnsupportedFormatError,
)
from tests.support.inputs.chip_builders import (
    animated_png,
    broken_strip,
    good_jpeg,
    good_png,
    good_rgb,
    good_sar,
    jpeg_with_size,
    multi_page_tiff,
    png_with_header,
    tar_of,
    text,
    zip_of,
)
from tests.support.inputs.chip_files import (
    page_entries,
    picture_bytes,
    raw_tiff,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)
from tests.support.inputs.malformed_case import OPTICAL, SAR, MalformedCase
from tests.support.inputs.malformed_contents import CLAIMS, CONTENT, PARAMETERS, TYPES

FORMATS = [
    MalformedCase("no-bytes", lambda: b"", EmptyChipError, "empty"),
    MalformedCase("one-byte", lambda: b"I", UnsupportedFormatError, "text"),
    MalformedCase("zero-bytes", lambda: bytes(4096), UnsupportedFormatError, "zero bytes"),
    MalformedCase("noise", lambda: bytes(range(128, 256)) * 9, UnsupportedFormatError, "no known"),
    MalformedCase("text", text("hello, ship\n"), UnsupportedFormatError, "text"),
    MalformedCase("utf8-text", text("grüße\n"), UnsupportedFormatError, "text"),
    MalformedCase("white-space", text(" \n\t "), UnsupportedFormatError, "text"),
    MalformedCase("json", text(json.dumps({"chip": 1})), UnsupportedFormatError, "text"),
    MalformedCase("csv", text("a,b\n1,2\n"), UnsupportedFormatError, "text"),
    MalformedCase("base64", text("SUkqAAgAAAA="), UnsupportedFormatError, "text"),
    MalformedCase("html", text("<!DOCTYPE html><p>no"), UnsupportedFormatError, "HTML"),
    MalformedCase("html-indented", text("\n  <html><p>no"), UnsupportedFormatError, "HTML"),
    MalformedCase("xml", text("<?xml version='1.0'?><a/>"), UnsupportedFormatError, "XML"),
    MalformedCase("svg", text("<svg width='9' height='9'/>"), UnsupportedFormatError, "XML"),
    MalformedCase(
        "vrt-that-names-a-file",
        text(
            '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand><SimpleSource>'
            "<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand>"
            "</VRTDataset>"
        ),
        UnsupportedFormatError,
        "XML",
    ),
    MalformedCase("path", text("/vsicurl/http://127.0.0.1/a.tif"), UnsupportedFormatError, "text"),
    MalformedCase("zip", lambda: zip_of(good_sar()), UnsupportedFormatError, "ZIP"),
    MalformedCase("zip-bomb", lambda: zip_of(bytes(1 << 24)), UnsupportedFormatError, "ZIP"),
    MalformedCase("empty-zip", lambda: b"PK\x05\x06" + bytes(18), UnsupportedFormatError, "ZIP"),
    MalformedCase("gzip", lambda: gzip.compress(good_sar()), UnsupportedFormatError, "gzip"),
    MalformedCase("bzip2", lambda: bz2.compress(good_sar()), UnsupportedFormatError, "bzip2"),
    MalformedCase("xz", lambda: lzma.compress(good_sar()), UnsupportedFormatError, "xz"),
    MalformedCase("tar", lambda: tar_of(good_sar()), UnsupportedFormatError, "tar"),
    MalformedCase("pdf", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", UnsupportedFormatError, "PDF"),
    MalformedCase(
        "gif", lambda: picture_bytes(sar_plane() > 1, "GIF"), UnsupportedFormatError, "GIF"
    ),
    MalformedCase(
        "webp", lambda: b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(14), UnsupportedFormatError, "WebP"
    ),
    MalformedCase(
        "bmp", lambda: picture_bytes(rgb_planes()[0], "BMP"), UnsupportedFormatError, "BMP"
    ),
    MalformedCase(
        "jpeg-2000", lambda: b"\x00\x00\x00\x0cjP  \r\n\x87\n", UnsupportedFormatError, "2000"
    ),
    MalformedCase("heic", lambda: b"\x00\x00\x00\x18ftypheic", UnsupportedFormatError, "HEIC"),
    MalformedCase("hdf5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(64), UnsupportedFormatError, "HDF5"),
    MalformedCase("nitf", lambda: b"NITF02.10" + bytes(64), UnsupportedFormatError, "NITF"),
    MalformedCase("numpy", lambda: b"\x93NUMPY\x01\x00", UnsupportedFormatError, "NumPy"),
    MalformedCase("fits", lambda: b"SIMPLE  = T" + b" " * 99, UnsupportedFormatError, "FITS"),
    MalformedCase("program", lambda: b"\x7fELF" + bytes(64), UnsupportedFormatError, "program"),
    MalformedCase("gif-named-tif", lambda: b"GIF89a" + bytes(9), UnsupportedFormatError, "GIF"),
    MalformedCase("tiff-after-junk", lambda: b"\xfe" + good_sar(), UnsupportedFormatError, "known"),
    MalformedCase("multi-page-tiff", multi_page_tiff, UnsupportedFormatError, "pages", SAR),
    MalformedCase("animated-png", animated_png, UnsupportedFormatError, "animation"),
    MalformedCase(
        "tiff-of-unknown-compression",
        lambda: raw_tiff([page_entries(20, 60, compression=60000)]) + bytes(1200),
        UnsupportedFormatError,
        "compression",
        SAR,
    ),
]


DAMAGE = [
    MalformedCase("tiff-magic-alone", lambda: b"II*\x00", CorruptChipError, "directory"),
    MalformedCase("tiff-header-alone", lambda: good_sar()[:8], CorruptChipError, "directory"),
    MalformedCase("tiff-no-directory", lambda: b"II*\x00" + bytes(4), CorruptChipError, "size"),
    MalformedCase("tiff-half", lambda: good_sar()[:1500], CorruptChipError, "complete file"),
    MalformedCase("tiff-last-byte-lost", lambda: good_sar()[:-1], CorruptChipError, "damaged"),
    MalformedCase("lzw-tiff-half", lambda: good_rgb()[:1200], CorruptChipError, "complete file"),
    MalformedCase("deflate-strip-broken", broken_strip, CorruptChipError, "damaged"),
    MalformedCase(
        "tiff-circle",
        lambda: raw_tiff([page_entries(20, 60)] * 2, loop=True) + bytes(1200),
        CorruptChipError,
        "circle",
    ),
    MalformedCase(
        "tiff-10000-pages",
        lambda: raw_tiff([page_entries(20, 60)] * 10_000),
        UnsupportedFormatError,
        "pages",
    ),
    MalformedCase(
        "tiff-65535-entries",
        lambda: struct.pack("<2sHIH", b"II", 42, 8, 65535) + bytes(100),
        CorruptChipError,
        "65535 entries",
    ),
    MalformedCase(
        "tiff-directory-outside",
        lambda: struct.pack("<2sHI", b"II", 42, 0xFFFFFFF0) + bytes(100),
        CorruptChipError,
        "directory",
    ),
    MalformedCase(
        "bigtiff-directory-outside",
        lambda: struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 8) + bytes(100),
        CorruptChipError,
        "directory",
    ),
    MalformedCase(
        "tiff-without-size",
        lambda: raw_tiff([page_entries(20, 60)[2:]]) + bytes(1200),
        CorruptChipError,
        "size",
    ),
    MalformedCase(
        "tiff-strip-outside",
        lambda: raw_tiff([page_entries(20, 60, offset=0x7FFFFFF0)]),
        CorruptChipError,
        "damaged",
        SAR,
    ),
    MalformedCase(
        "tiff-giant-tile",
        lambda: raw_tiff(
            [
                [
                    *page_entries(20, 60)[:5],
                    (277, 3, 1, 1),
                    (322, 4, 1, 65536),
                    (323, 4, 1, 65536),
                    (324, 4, 1, 8),
                    (325, 4, 1, 1200),
                ]
            ]
        ),
        CorruptChipError,
        "tile",
        SAR,
    ),
    MalformedCase("png-magic-alone", lambda: good_png()[:8], CorruptChipError, "header"),
    MalformedCase("png-half", lambda: good_png()[:700], CorruptChipError, "PNG"),
    MalformedCase(
        "png-wrong-checksum",
        lambda: good_png()[:45] + b"\x00\x01\x02\x03" + good_png()[49:],
        CorruptChipError,
        "PNG",
    ),
    MalformedCase(
        "png-without-header-chunk",
        lambda: good_png()[:8] + good_png()[33:],
        CorruptChipError,
        "IHDR",
    ),
    MalformedCase("jpeg-magic-alone", lambda: b"\xff\xd8\xff", CorruptChipError, "JPEG"),
    MalformedCase("jpeg-half", lambda: good_jpeg()[:700], CorruptChipError, "truncated"),
    MalformedCase("jpeg-without-scan", lambda: good_jpeg()[:200], CorruptChipError, "JPEG"),
]


SIZES = [
    MalformedCase("sar-7-wide", lambda: tiff_bytes(sar_plane(60, 7)), ChipSizeError, "8 pixels"),
    MalformedCase("rgb-7-high", lambda: tiff_bytes(rgb_planes(7, 60)), ChipSizeError, "8 pixels"),
    MalformedCase("one-pixel", lambda: tiff_bytes(sar_plane(1, 1)), ChipSizeError, "1 x 1"),
    MalformedCase(
        "png-one-pixel", lambda: png_with_header(1, 1), ChipSizeError, "8 pixels", OPTICAL
    ),
    MalformedCase("jpeg-5-wide", lambda: jpeg_with_size(5, 60), ChipSizeError, "8 pixels"),
    MalformedCase(
        "tiff-no-pixels", lambda: raw_tiff([page_entries(0, 60)]), EmptyChipError, "0 x 60"
    ),
    MalformedCase("png-no-pixels", lambda: png_with_header(0, 60), EmptyChipError, "0 x 60"),
    MalformedCase(
        "tiff-bomb-header",
        lambda: raw_tiff([page_entries(2_000_000_000, 2_000_000_000, bytes=1200)]),
        ChipSizeError,
        "whole scene",
    ),
    MalformedCase(
        "tiff-bomb-deflate",
        lambda: tiff_bytes(np.zeros((6000, 6000), np.uint8), compress="deflate"),
        ChipSizeError,
        "whole scene",
    ),
    MalformedCase(
        "tiff-too-long", lambda: tiff_bytes(sar_plane(5000, 8)), ChipSizeError, "4096 pixels"
    ),
    MalformedCase(
        "tiff-too-many-bands",
        lambda: raw_tiff([page_entries(2000, 2000, samples=60_000)]),
        ChipSizeError,
        "60000 bands",
    ),
    MalformedCase(
        "tiff-too-large-once-decoded",
        lambda: raw_tiff([page_entries(2000, 2000, samples=32, bits=64)]),
        ChipSizeError,
        "bytes are decoded",
    ),
    MalformedCase("png-bomb", lambda: png_with_header(60_000, 60_000), ChipSizeError, "scene"),
    MalformedCase("jpeg-bomb", lambda: jpeg_with_size(65_500, 65_500), ChipSizeError, "scene"),
    MalformedCase(
        "png-just-too-large", lambda: png_with_header(4097, 60), ChipSizeError, "4096 pixels"
    ),
]


MALFORMED: list[MalformedCase] = [*FORMATS, *DAMAGE, *SIZES, *CONTENT, *TYPES, *CLAIMS, *PARAMETERS]
