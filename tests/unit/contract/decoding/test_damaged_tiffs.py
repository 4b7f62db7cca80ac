"""Damage is refused where it can be known, and said where it is only suspected."""

import struct

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import MemoryFile
from rasterio.shutil import copy

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.decoding.tiff_layout import TiffPage, read_full_page
from service.contract.errors import CorruptChipError, PixelTypeError, UnsupportedFormatError
from tests.support.inputs.chip_builders import good_jpeg, good_png, zip_of
from tests.support.inputs.chip_files import image_bytes, rgb_planes, sar_plane, tiff_bytes
from tests.support.inputs.tiff_writer import Page, write_tiff

FULL = sar_plane(60, 20)
WIDTH, HEIGHT, COUNT, TIE_POINTS, NO_DATA = 256, 257, 277, 33922, 42113
SAMPLE_FORMAT, EXIF, SUBSAMPLING = 339, 34665, 530


def entry_at(data: bytes, tag: int) -> int:
    """Return where the entry of a tag stands in the first directory of a little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    places = range(start + 2, start + 2 + 12 * entries, 12)
    return next(at for at in places if struct.unpack_from("<H", data, at)[0] == tag)


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def first_strip(data: bytes) -> tuple[int, TiffPage]:
    page, _ = read_full_page(data)
    return int(page.offsets[0]), page


@pytest.mark.parametrize("compress", ["deflate", "lzma", "lerc"])
@pytest.mark.parametrize("rows", [60, 25])
def test_any_changed_byte_under_a_checksum_is_refused(compress: str, rows: int) -> None:
    data = tiff_bytes(rgb_planes(), compress=compress, photometric="RGB", blockysize=rows)
    page, _ = read_full_page(data)
    strips = zip(page.offsets.tolist(), page.byte_counts.tolist(), strict=True)
    for at in [at for start, size in strips for at in range(start, start + size, 211)]:
        with pytest.raises(CorruptChipError):
            decode_chip(changed(data, at, bytes([data[at] ^ 4])), gsd_m=1.0)


def test_a_strip_whose_jpeg_ends_early_is_refused() -> None:
    data = tiff_bytes(
        rgb_planes(64, 48), compress="jpeg", photometric="RGB", interleave="pixel", blockysize=64
    )
    start, page = first_strip(data)
    middle = start + int(page.byte_counts[0]) // 2
    with pytest.raises(CorruptChipError, match="JPEG"):
        decode_chip(changed(data, middle, b"\xff\xd9"), gsd_m=1.0)


def test_a_strip_of_packbits_that_holds_too_many_bytes_is_refused() -> None:
    data = tiff_bytes(rgb_planes(), compress="packbits", photometric="RGB", blockysize=60)
    start, _ = first_strip(data)
    longer = bytes([data[start] + 1])
    with pytest.raises(CorruptChipError, match="PackBits"):
        decode_chip(changed(data, start, longer), gsd_m=1.0)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        pytest.param(WIDTH, 16, id="narrower"),
        pytest.param(WIDTH, 21, id="wider"),
        pytest.param(HEIGHT, 40, id="lower"),
    ],
)
@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_size_that_its_strips_contradict_is_refused(tag: int, value: int, compress: str) -> None:
    data = tiff_bytes(FULL, compress=compress, blockysize=10)
    at = entry_at(data, tag) + 8
    with pytest.raises(CorruptChipError, match=r"bytes of samples|place and length"):
        decode_chip(changed(data, at, struct.pack("<H", value)), gsd_m=1.0)


@pytest.mark.parametrize("format_code", [5, 6], ids=["integer", "float"])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_complex_samples_of_a_size_that_gdal_does_not_know_are_refused(
    bits: int, format_code: int
) -> None:
    data = tiff_bytes((FULL * 100).astype(f"uint{bits}"))
    data = changed(data, entry_at(data, SAMPLE_FORMAT) + 8, struct.pack("<H", format_code))
    if (bits, format_code) == (32, 5):
        assert decode_chip(data, gsd_m=1.0).bit_depth == "complex_int16"
        return
    with pytest.raises(PixelTypeError, match=f"complex samples of {bits} bits"):
        decode_chip(data, modality=Modality.SAR, gsd_m=1.0)


def test_strips_that_overlap_are_refused() -> None:
    data = bytearray(tiff_bytes(FULL, blockysize=30))
    offsets = entry_at(bytes(data), 273)
    (first,) = struct.unpack_from("<I", data, struct.unpack_from("<I", data, offsets + 8)[0])
    at = struct.unpack_from("<I", data, offsets + 8)[0] + 4
    struct.pack_into("<I", data, at, first + 16)
    with pytest.raises(CorruptChipError, match="overlap"):
        decode_chip(bytes(data), gsd_m=1.0)


@pytest.mark.parametrize("following", [good_png(), good_jpeg(), zip_of(b"")])
@pytest.mark.parametrize("big", [False, True])
def test_bytes_after_the_end_of_a_tiff_warn(following: bytes, *, big: bool) -> None:
    chip = decode_chip(write_tiff([Page(FULL)], big=big) + following, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, FULL)
    # Zeros at the end are padding.
    length = len(following.rstrip(b"\0"))
    assert chip.warnings == (f"{length} bytes after the end of the TIFF were ignored",)


def with_camera_data() -> bytes:
    """A TIFF that ends with a directory of EXIF data and its one text."""
    data = write_tiff([Page(FULL, extra=((EXIF, 0),))])
    data = changed(data, entry_at(data, EXIF) + 8, struct.pack("<I", len(data)))
    text = b"a note of the camera"
    entry = struct.pack("<HHII", 37500, 7, len(text), len(data) + 18)
    return data + struct.pack("<H", 1) + entry + struct.pack("<I", 0) + text


def cloud_optimised() -> bytes:
    with MemoryFile(tiff_bytes(sar_plane(300, 200))) as plain, MemoryFile() as memory:
        with plain.open() as source:
            copy(source, memory.name, driver="COG", blocksize=128, compress="deflate")
        return bytes(memory.getbuffer())


@pytest.mark.parametrize(
    "data",
    [
        *(tiff_bytes(FULL), tiff_bytes(FULL, compress="lzw"), tiff_bytes(FULL) + bytes(512)),
        *(with_camera_data(), cloud_optimised()),
    ],
    ids=["strips", "compressed", "padded", "camera", "cloud-optimised"],
)
def test_all_bytes_of_a_whole_tiff_are_known(data: bytes) -> None:
    assert decode_chip(data, gsd_m=1.0).warnings == ()


def test_what_gdal_warns_of_is_passed_on() -> None:
    data = write_tiff([Page(FULL)])
    count, height = entry_at(data, COUNT), entry_at(data, HEIGHT)
    unsorted = changed(data, count, data[height : height + 12])
    unsorted = changed(unsorted, height, data[count : count + 12])
    chip = decode_chip(unsorted, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, FULL)
    assert any("not sorted in ascending order" in warning for warning in chip.warnings)


def test_pixels_that_are_tied_to_no_place_have_no_position() -> None:
    data = tiff_bytes(FULL, transform=Affine(2, 0, 500_000, 0, -2, 6_000_000), crs="EPSG:32632")
    assert decode_chip(data).position is not None
    # Private tags are no georeference.
    chip = decode_chip(changed(data, entry_at(data, TIE_POINTS), struct.pack("<H", 33921)))
    assert chip.position is None
    assert any("ties no pixel to a place" in warning for warning in chip.warnings)


def test_a_georeference_of_two_kinds_is_not_read() -> None:
    data = tiff_bytes(FULL, transform=Affine(2, 0, 500_000, 0, -2, 6_000_000), crs="EPSG:32632")
    # The names of the map become a matrix.
    chip = decode_chip(changed(data, entry_at(data, 34737), struct.pack("<HHI", 34264, 12, 3)))
    assert chip.position is None
    assert any("both a matrix and a pixel size" in warning for warning in chip.warnings)


def test_the_orientation_of_a_geotiff_is_ignored_with_a_warning() -> None:
    data = tiff_bytes(FULL, transform=Affine(2, 0, 500_000, 0, -2, 6_000_000), crs="EPSG:32632")
    plain = decode_chip(data)
    # One sample for each pixel is the default, so its tag is free.
    chip = decode_chip(changed(data, entry_at(data, COUNT), struct.pack("<HHII", 274, 3, 1, 6)))
    np.testing.assert_array_equal(chip.pixels, plain.pixels)
    assert any("orientation 6 of a GeoTIFF" in warning for warning in chip.warnings)


@pytest.mark.parametrize("kind", [1, 6, 7], ids=["byte", "sbyte", "undefined"])
def test_a_no_data_text_of_another_type_is_read(kind: int) -> None:
    samples = FULL.copy()
    samples[:, :3] = -9999.0
    data = tiff_bytes(samples, nodata=-9999.0)
    expected = decode_chip(data, gsd_m=1.0)
    assert expected.pixels[:, :3].max() == 0.0
    chip = decode_chip(
        changed(data, entry_at(data, NO_DATA) + 2, struct.pack("<H", kind)), gsd_m=1.0
    )
    np.testing.assert_array_equal(chip.pixels, expected.pixels)


@pytest.mark.parametrize("modality", list(Modality))
def test_white_as_0_does_not_invert_an_alpha_band(modality: Modality) -> None:
    grey = rgb_planes()[:1]
    opaque = np.full_like(grey, 255)
    opaque[:, :6] = 0

    def written(picture: NDArray[np.uint8], photometric: str) -> bytes:
        bands = np.concatenate([picture, opaque])
        return tiff_bytes(bands, alpha="NON-PREMULTIPLIED", photometric=photometric)

    expected = decode_chip(written(grey, "MINISBLACK"), modality=modality, gsd_m=1.0)
    inverted = decode_chip(written(255 - grey, "MINISWHITE"), modality=modality, gsd_m=1.0)
    np.testing.assert_array_equal(inverted.pixels, expected.pixels)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_ycbcr_without_jpeg_is_refused(compression: str) -> None:
    picture = Image.fromarray(rgb_planes().transpose(1, 2, 0)).convert("YCbCr")
    data = image_bytes(picture, "TIFF", compression=compression)
    # Without this tag colours count for 2 x 2 pixels; these are written for each pixel.
    untold = changed(data, entry_at(data, SUBSAMPLING), struct.pack("<H", SUBSAMPLING + 1))
    for each in (data, untold):
        with pytest.raises(UnsupportedFormatError, match="save it as RGB"):
            decode_chip(each, gsd_m=1.0)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_a_file_whose_end_is_zeros_warns(interleave: str) -> None:
    """As programs leave it that reserve the space of a file before they copy it."""
    data = tiff_bytes(rgb_planes(), photometric="RGB", interleave=interleave)
    warning = "rows are 0: send the file again"
    assert not any(warning in text for text in decode_chip(data, gsd_m=1.0).warnings)
    cut = data[:-400] + bytes(400)
    assert any(warning in text for text in decode_chip(cut, gsd_m=1.0).warnings)
    declared = tiff_bytes(rgb_planes() * (np.arange(60) < 50)[:, None], nodata=0)
    assert not any(warning in text for text in decode_chip(declared, gsd_m=1.0).warnings)


@pytest.mark.parametrize("compress", ["lzw", "webp"])
def test_compressed_samples_whose_end_is_zeros_are_refused(compress: str) -> None:
    data = tiff_bytes(rgb_planes(), compress=compress, photometric="RGB", interleave="pixel")
    decode_chip(data, gsd_m=1.0)
    with pytest.raises(CorruptChipError, match="ends with zeros"):
        decode_chip(data[:-40] + bytes(40), gsd_m=1.0)


@pytest.mark.parametrize("share", [0.7, 0.8, 0.99])
def test_a_jpeg_whose_end_is_zeros_is_refused(share: float) -> None:
    data = good_jpeg()
    whole = int(share * len(data))
    with pytest.raises(CorruptChipError, match="no end mark"):
        decode_chip(data[:whole] + bytes(len(data) - whole), gsd_m=1.0)
