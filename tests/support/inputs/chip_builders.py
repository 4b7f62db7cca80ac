"""Sound chip files of each format, and the damaged files made from them."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from affine import Affine
from PIL import Image

from tests.support.inputs.chip_files import (
    image_bytes,
    picture_bytes,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)


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
