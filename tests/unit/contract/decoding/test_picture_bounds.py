"""What a file costs is bounded by what can be counted in it before it is decoded."""

import contextlib
import io
import time

import numpy as np
import pytest
from PIL import Image

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.decoding.picture_bounds import MAX_CHUNKS, MAX_SCANS
from service.contract.errors import ChipError, CorruptChipError
from tests.support.inputs.chip_builders import good_jpeg, good_png
from tests.support.inputs.chip_files import picture_bytes, rgb_planes
from tests.support.inputs.costly_files import (
    COSTLY,
    jpeg_of_comments,
    jpeg_of_exif,
    jpeg_of_scans,
    png_of_profiles,
    png_of_texts,
    png_with,
)


@pytest.fixture(scope="module")
def legal() -> bytes:
    """A picture of noise, which does not compress."""
    pixels = np.random.default_rng(0).integers(0, 255, (2048, 2048, 3), dtype=np.uint8)
    return picture_bytes(pixels, "PNG")


@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_file_costs_little(kind: str, legal: bytes) -> None:
    """Processor time is compared with that of a legal picture, since machines differ in speed."""
    build, times = COSTLY[kind]
    data = build(times)
    allowed = max(1.0, 2 * seconds_to_decode(legal))
    assert seconds_to_decode(data) < allowed


def seconds_to_decode(data: bytes) -> float:
    began = time.process_time()
    with contextlib.suppress(ChipError):
        decode_chip(data, modality=_modality(data), gsd_m=0.75)
    return time.process_time() - began


def _modality(data: bytes) -> Modality:
    return Modality.SAR if data.startswith(b"II") else Modality.OPTICAL


def test_a_progressive_jpeg_is_read() -> None:
    pixels = rgb_planes(200, 200).transpose(1, 2, 0).copy()
    data = picture_bytes(pixels, "JPEG", progressive=True)
    assert decode_chip(data, gsd_m=0.75).pixels.shape == (200, 200, 3)


def test_a_jpeg_of_thousands_of_scans_is_rejected() -> None:
    with pytest.raises(CorruptChipError, match=f"at most {MAX_SCANS} scans"):
        decode_chip(jpeg_of_scans(3000, 200, 200), gsd_m=0.75)


def test_a_png_of_many_empty_chunks_is_rejected() -> None:
    with pytest.raises(CorruptChipError, match="chunks"):
        decode_chip(png_with([(b"tEXt", b"")] * (MAX_CHUNKS + 1)), gsd_m=0.75)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png_of_profiles(3), id="png-profiles"),
        pytest.param(png_of_texts(3), id="png-texts"),
        pytest.param(jpeg_of_comments(3), id="jpeg-comments"),
        pytest.param(jpeg_of_exif(3), id="jpeg-exif"),
        pytest.param(good_jpeg() + bytes(100_000), id="jpeg-with-more-after-its-end"),
        pytest.param(good_png() + bytes(100_000), id="png-with-more-after-its-end"),
    ],
)
def test_what_is_dropped_changes_no_pixel(data: bytes) -> None:
    plain = good_png() if data.startswith(b"\x89PNG") else good_jpeg()
    np.testing.assert_array_equal(
        decode_chip(data, gsd_m=0.75).pixels, decode_chip(plain, gsd_m=0.75).pixels
    )


@pytest.mark.parametrize("container", ["PNG", "JPEG"])
def test_the_orientation_is_kept(container: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    pixels = rgb_planes().transpose(1, 2, 0).copy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, container, exif=exif, icc_profile=bytes(3000))
    assert decode_chip(buffer.getvalue(), gsd_m=0.75).pixels.shape == (20, 60, 3)


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_the_colour_space_that_adobe_names_is_kept(mode: str) -> None:
    pixels = rgb_planes().transpose(1, 2, 0).copy()
    data = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data.getvalue())).convert("RGB"))
    chip = decode_chip(data.getvalue(), modality=Modality.OPTICAL, gsd_m=0.75)
    np.testing.assert_array_equal(chip.pixels, expected)


def test_a_png_with_two_headers_has_the_size_of_the_first() -> None:
    data = good_png()
    header = data[8:33]
    larger = picture_bytes(np.zeros((4000, 1000, 3), np.uint8), "PNG")[8:33]
    assert decode_chip(data[:8] + header + larger + data[33:]).pixels.shape == (60, 20, 3)


def test_a_jpeg_with_two_frames_is_rejected() -> None:
    data = good_jpeg()
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4])]
    with pytest.raises(CorruptChipError, match="two frames"):
        decode_chip(data[:at] + frame + data[at:])


@pytest.mark.parametrize("data", [good_jpeg(), good_png()])
def test_what_follows_a_picture_is_named(data: bytes) -> None:
    notes = decode_chip(data + data, gsd_m=0.75).warnings
    assert any(f"{len(data)} bytes after the end" in note for note in notes)
    assert decode_chip(data + bytes(100), gsd_m=0.75).warnings == ()
