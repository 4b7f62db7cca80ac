"""Inputs that are not a chip, and the error each must raise.

One table for the decoder's unit tests and for the HTTP tests, which send each case as an upload
and expect the matching problem. Data are built on demand.
"""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from affine import Affine
from PIL import Image

from service.contract.chip import Modality
from service.contract.errors import (
    ChipContentError,
    ChipError,
    ChipSizeError,
    CorruptChipError,
    EmptyChipError,
    GeometryError,
    ModalityError,
    PixelTypeError,
    UnsupportedFormatError,
)
from tests.support.chip_files import (
    image_bytes,
    page_entries,
    picture_bytes,
    raw_tiff,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)

OPTICAL, SAR = Modality.OPTICAL, Modality.SAR


@dataclass(frozen=True, slots=True)
class MalformedCase:
    """One bad upload.

    Attributes:
        name: unique, for test ids.
        build: makes the bytes.
        error: the exact class that decoding must raise.
        must_mention: words that the message must hold.
        modality: form parameter, as are `gsd_m` and `band`.
    """

    name: str
    build: Callable[[], bytes]
    error: type[ChipError]
    must_mention: str
    modality: Modality | None = None
    gsd_m: float | None = None
    band: int | None = None

    @property
    def data(self) -> bytes:
        return self.build()

    @property
    def form(self) -> dict[str, str]:
        """The parameters as form fields, absent ones left out."""
        values = {"modality": self.modality, "gsd_m": self.gsd_m, "band": self.band}
        return {name: str(value) for name, value in values.items() if value is not None}


def good_sar() -> bytes:
    return tiff_bytes(sar_plane())


def good_rgb() -> bytes:
    return tiff_bytes(rgb_planes(), compress="lzw")


def good_png() -> bytes:
    return picture_bytes(np.ascontiguousarray(rgb_planes().transpose(1, 2, 0)), "PNG")


def good_jpeg() -> bytes:
    return picture_bytes(np.ascontiguousarray(rgb_planes().transpose(1, 2, 0)), "JPEG")


def zip_of(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chip.tif", payload)
    return buffer.getvalue()


def tar_of(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("chip.tif")
        member.size = len(payload)
        archive.addfile(member, io.BytesIO(payload))
    return buffer.getvalue()


def with_values(value: float, share: float = 1.0, *, nodata: float | None = None) -> bytes:
    """A SAR chip whose first pixels, up to a share, hold one value."""
    plane = sar_plane()
    plane.reshape(-1)[: int(share * plane.size)] = value
    return tiff_bytes(plane, nodata=nodata) if nodata is not None else tiff_bytes(plane)


def png_with_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A genuine PNG whose header was rewritten, with a right checksum."""
    data = good_png()
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return data[:12] + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


def jpeg_with_size(width: int, height: int) -> bytes:
    """A genuine JPEG whose frame header was rewritten."""
    data = bytearray(good_jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def animated_png() -> bytes:
    frames = [
        Image.fromarray(np.ascontiguousarray(rgb_planes(seed=seed).transpose(1, 2, 0)))
        for seed in (1, 2)
    ]
    return image_bytes(frames[0], "PNG", save_all=True, append_images=frames[1:])


def multi_page_tiff() -> bytes:
    pages = [Image.fromarray(rgb_planes(seed=seed)[0]) for seed in (1, 2, 3)]
    return image_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def georeferenced(pixel_m: float, down_m: float | None = None) -> bytes:
    transform = Affine(pixel_m, 0, 500_000, 0, -(down_m or pixel_m), 5_000_000)
    return tiff_bytes(sar_plane(), crs="EPSG:32631", transform=transform)


def broken_strip() -> bytes:
    data = bytearray(tiff_bytes(rgb_planes(), compress="deflate"))
    at = data.index(b"\x78")
    data[at : at + 200] = b"\xff" * 200
    return bytes(data)


def text(content: str) -> Callable[[], bytes]:
    return lambda: content.encode()


def constant(samples: np.ndarray, value: float) -> bytes:
    return tiff_bytes(np.full_like(samples, value))


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
        "webp",
        lambda: b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(14),
        UnsupportedFormatError,
        "WebP",
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

CONTENT = [
    MalformedCase("sar-all-nan", lambda: with_values(np.nan), ChipContentError, "NaN"),
    MalformedCase("sar-one-nan", lambda: with_values(np.nan, 0.001), ChipContentError, "NaN"),
    MalformedCase("sar-one-inf", lambda: with_values(np.inf, 0.001), ChipContentError, "infinite"),
    MalformedCase("sar-minus-inf", lambda: with_values(-np.inf, 0.1), ChipContentError, "infinite"),
    MalformedCase("sar-constant", lambda: constant(sar_plane(), 3), ChipContentError, "same value"),
    MalformedCase("sar-all-zero", lambda: constant(sar_plane(), 0), ChipContentError, "same value"),
    MalformedCase(
        "rgb-constant", lambda: constant(rgb_planes(), 9), ChipContentError, "same value", OPTICAL
    ),
    MalformedCase(
        "rgb-one-colour",
        lambda: tiff_bytes(
            np.broadcast_to(np.array([200, 30, 40], np.uint8)[:, None, None], (3, 60, 20)).copy()
        ),
        ChipContentError,
        "same value",
    ),
    MalformedCase(
        "png-black",
        lambda: picture_bytes(np.zeros((60, 20, 3), np.uint8), "PNG"),
        ChipContentError,
        "same value",
        OPTICAL,
    ),
    MalformedCase(
        "rgba-all-transparent",
        lambda: tiff_bytes(
            np.concatenate([rgb_planes(), np.zeros((1, 60, 20), np.uint8)]),
            photometric="RGB",
            alpha="YES",
        ),
        ChipContentError,
        "no-data",
    ),
    MalformedCase(
        "sar-mostly-declared-nodata",
        lambda: with_values(-9999, 0.7, nodata=-9999),
        ChipContentError,
        "70% of the pixels are no-data",
    ),
    MalformedCase(
        "sar-undeclared-nodata", lambda: with_values(-9999, 0.2), ChipContentError, "declare"
    ),
    MalformedCase(
        "sar-standardised",
        lambda: tiff_bytes((sar_plane() - 0.6) / np.float32(0.5)),
        ChipContentError,
        "negative",
    ),
    MalformedCase(
        "sar-all-negative", lambda: tiff_bytes(-1000 * sar_plane() - 1), ChipContentError, "100%"
    ),
    MalformedCase(
        "sar-overflows-float32",
        lambda: tiff_bytes(sar_plane().astype(np.float64) * 1e200),
        ChipContentError,
        "scale",
    ),
    MalformedCase(
        "sar-vanishing",
        lambda: tiff_bytes(sar_plane() * np.float32(1e-12)),
        ChipContentError,
        "1e-06",
    ),
    MalformedCase(
        "complex-nan",
        lambda: tiff_bytes(np.where(sar_plane() > 1.2, np.nan, sar_plane()).astype(np.complex64)),
        ChipContentError,
        "NaN",
    ),
    MalformedCase(
        "optical-negative",
        lambda: tiff_bytes(rgb_planes().astype(np.int16) - 100),
        ChipContentError,
        "0 or more",
        OPTICAL,
    ),
]

TYPES = [
    *(
        MalformedCase(
            f"sar-{kind}",
            lambda kind=kind: tiff_bytes((sar_plane() * 50).astype(kind)),  # type: ignore[misc]
            PixelTypeError,
            kind,
            SAR,
        )
        for kind in ("int8", "int32", "uint32", "int64", "uint64")
    ),
    MalformedCase(
        "tiff-1-bit",
        lambda: tiff_bytes((sar_plane() > 1).astype(np.uint8), nbits=1),
        PixelTypeError,
        "1-bit",
        SAR,
    ),
    MalformedCase(
        "png-1-bit",
        lambda: image_bytes(Image.fromarray(sar_plane() > 1), "PNG"),
        PixelTypeError,
        "1-bit",
    ),
    MalformedCase(
        "tiff-cmyk",
        lambda: tiff_bytes(np.concatenate([rgb_planes(), rgb_planes()[:1]]), photometric="CMYK"),
        PixelTypeError,
        "colour space",
        OPTICAL,
    ),
    MalformedCase(
        "tiff-lab",
        lambda: tiff_bytes(rgb_planes(), photometric="CIELAB"),
        PixelTypeError,
        "colour space",
    ),
    MalformedCase(
        "optical-float-rgb",
        lambda: tiff_bytes(rgb_planes().astype(np.float32) / 255),
        PixelTypeError,
        "uint8 or uint16",
        OPTICAL,
    ),
    MalformedCase(
        "optical-2-bands",
        lambda: tiff_bytes(rgb_planes()[:2].astype(np.uint16)),
        PixelTypeError,
        "1, 3 or 4 bands",
        OPTICAL,
    ),
    MalformedCase(
        "optical-8-bands",
        lambda: tiff_bytes(np.tile(rgb_planes().astype(np.uint16)[:2], (4, 1, 1))),
        PixelTypeError,
        "1, 3 or 4 bands",
        OPTICAL,
    ),
]

CLAIMS = [
    MalformedCase("rgb-claimed-sar", good_rgb, ModalityError, "optical", SAR),
    MalformedCase("png-colour-claimed-sar", good_png, ModalityError, "optical", SAR),
    MalformedCase("jpeg-colour-claimed-sar", good_jpeg, ModalityError, "optical", SAR),
    MalformedCase("float-claimed-optical", good_sar, PixelTypeError, "8 or 16 bits", OPTICAL),
    MalformedCase(
        "complex-claimed-optical",
        lambda: tiff_bytes(sar_plane().astype(np.complex64)),
        ModalityError,
        "complex",
        OPTICAL,
    ),
    MalformedCase(
        "polarisation-claimed-optical",
        lambda: tiff_bytes(
            (sar_plane() * 99).astype(np.uint16), lambda f: f.set_band_description(1, "VV")
        ),
        ModalityError,
        "named after a polarisation",
        OPTICAL,
    ),
    *(
        MalformedCase(
            f"one-band-{kind}-unclaimed",
            lambda kind=kind: tiff_bytes((sar_plane() * 50).astype(kind)),  # type: ignore[misc]
            ModalityError,
            "may be optical or SAR",
        )
        for kind in ("uint8", "uint16", "int16")
    ),
    MalformedCase(
        "grey-png-unclaimed",
        lambda: picture_bytes(rgb_planes()[0], "PNG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "grey-jpeg-unclaimed",
        lambda: picture_bytes(rgb_planes()[0], "JPEG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "grey-rgb-png-unclaimed",
        lambda: picture_bytes(np.repeat(rgb_planes()[0][..., None], 3, 2), "PNG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "float-rgb-unclaimed",
        lambda: tiff_bytes(rgb_planes().astype(np.float32) / 255),
        ModalityError,
        "modality",
    ),
]

PARAMETERS = [
    *(
        MalformedCase(f"gsd-{gsd:g}", good_sar, GeometryError, "gsd_m", SAR, gsd_m=gsd)
        for gsd in (0.0, -1.0, float("nan"), float("inf"), 0.01, 31.0, 1e9)
    ),
    *(
        MalformedCase(f"band-{band}", good_sar, GeometryError, f"band {band}", SAR, band=band)
        for band in (0, -1, 2, 10**6)
    ),
    MalformedCase("band-of-optical", good_rgb, GeometryError, "optical", OPTICAL, band=1),
    MalformedCase("geotiff-1-km", lambda: georeferenced(1000.0), GeometryError, "in the GeoTIFF"),
    MalformedCase("geotiff-1-mm", lambda: georeferenced(0.001), GeometryError, "in the GeoTIFF"),
    MalformedCase("geotiff-20-to-1", lambda: georeferenced(1.0, 20.0), GeometryError, "square"),
]

MALFORMED: list[MalformedCase] = [
    *FORMATS,
    *DAMAGE,
    *SIZES,
    *CONTENT,
    *TYPES,
    *CLAIMS,
    *PARAMETERS,
]
