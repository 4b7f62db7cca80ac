"""What a PNG or a JPEG costs is bounded by what can be counted before it is decoded."""

import struct
import time
import zlib

import pytest

from service.contract.decoding.decode import decode_chip
from service.contract.decoding.picture_bounds import MAX_CHUNKS, MAX_SCANS
from service.contract.errors import CorruptChipError
from tests.support.inputs.chip_builders import good_png
from tests.support.inputs.chip_files import picture_bytes, rgb_planes


def progressive_jpeg(more_scans: int) -> bytes:
    pixels = rgb_planes(200, 200).transpose(1, 2, 0).copy()
    data = picture_bytes(pixels, "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * more_scans + data[-2:]


def test_a_progressive_jpeg_is_read() -> None:
    assert decode_chip(progressive_jpeg(0), gsd_m=0.75).pixels.shape == (200, 200, 3)


def test_a_jpeg_of_thousands_of_scans_is_rejected_at_once() -> None:
    began = time.perf_counter()
    with pytest.raises(CorruptChipError, match=f"at most {MAX_SCANS} scans"):
        decode_chip(progressive_jpeg(3000), gsd_m=0.75)
    assert time.perf_counter() - began < 1.0


def test_a_png_of_many_empty_chunks_is_rejected_at_once() -> None:
    data = good_png()
    empty = struct.pack(">I4sI", 0, b"tEXt", zlib.crc32(b"tEXt"))
    bomb = data[:33] + empty * (MAX_CHUNKS + 1) + data[33:]
    began = time.perf_counter()
    with pytest.raises(CorruptChipError, match="chunks"):
        decode_chip(bomb, gsd_m=0.75)
    assert time.perf_counter() - began < 1.0
