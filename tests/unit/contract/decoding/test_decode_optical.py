"""Optical TIFF, PNG and JPEG become 8-bit RGB."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter

from service.contract.chip import Modality
from service.contract.decoding.bands import BandLayout
from service.contract.decoding.decode import decode_chip
from service.contract.decoding.optical_rgb import optical_rgb
from service.contract.decoding.raster import Raster
from service.contract.errors import CorruptChipError, PixelTypeError, UnsupportedFormatError
from tests.support.inputs.chip_builders import good_jpeg, png_with_header
from tests.support.inputs.chip_files import (
    image_bytes,
    picture_bytes,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)

OPTICAL = Modality.OPTICAL


def rgb_picture() -> NDArray[np.uint8]:
    return np.ascontiguousarray(rgb_planes().transpose(1, 2, 0))


@pytest.mark.parametrize("compress", ["none", "lzw", "deflate"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_rgb_tiff_is_exact(compress: str, interleave: str) -> None:
    planes = rgb_planes()
    chip = decode_chip(tiff_bytes(planes, compress=compress, interleave=interleave), gsd_m=0.5)
    np.testing.assert_array_equal(chip.pixels, planes.transpose(1, 2, 0))
    assert chip.pixels.dtype == np.uint8
    assert chip.pixels.flags.c_contiguous
    assert (chip.modality, chip.gsd_m, chip.gsd_source) == (OPTICAL, 0.5, "parameter")
    assert chip.warnings == ()


def test_rgb_png_is_exact() -> None:
    chip = decode_chip(picture_bytes(rgb_picture(), "PNG"))
    np.testing.assert_array_equal(chip.pixels, rgb_picture())
    assert (chip.gsd_m, chip.gsd_source) == (0.75, "default")
    assert len(chip.warnings) == 1


def test_colour_jpeg_is_optical_and_close() -> None:
    chip = decode_chip(picture_bytes(rgb_picture(), "JPEG", quality=100, subsampling=0), gsd_m=1)
    assert chip.modality is OPTICAL
    assert np.abs(chip.pixels.astype(int) - rgb_picture()).max() <= 4
    assert chip.warnings == ()


def test_cmyk_jpeg() -> None:
    data = image_bytes(Image.fromarray(rgb_picture()).convert("CMYK"), "JPEG", quality=100)
    chip = decode_chip(data, gsd_m=1)
    assert np.abs(chip.pixels.astype(int) - rgb_picture()).mean() < 5
    assert any("CMYK" in warning for warning in chip.warnings)


def test_palette_png() -> None:
    image = Image.fromarray(rgb_picture()).quantize(64)
    chip = decode_chip(image_bytes(image, "PNG"), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, np.asarray(image.convert("RGB")))


def test_palette_tiff() -> None:
    indices = rgb_planes()[0]
    table = {i: (255 - i, i, (i * 7) % 256, 255) for i in range(256)}
    data = tiff_bytes(indices, lambda f: f.write_colormap(1, table), photometric="PALETTE")
    chip = decode_chip(data, gsd_m=1)
    expected = np.array([table[i][:3] for i in range(256)], np.uint8)[indices]
    np.testing.assert_array_equal(chip.pixels, expected)


@pytest.mark.parametrize("container", ["PNG", "JPEG", "TIFF"])
def test_panchromatic_is_repeated(container: str) -> None:
    grey = rgb_planes()[0]
    data = tiff_bytes(grey) if container == "TIFF" else picture_bytes(grey, container)
    chip = decode_chip(data, modality=OPTICAL, gsd_m=1)
    assert chip.pixels.shape == (60, 20, 3)
    assert np.all(chip.pixels == chip.pixels[..., :1])
    if container != "JPEG":
        np.testing.assert_array_equal(chip.pixels[..., 0], grey)
    assert any("panchromatic" in warning for warning in chip.warnings)


@pytest.mark.parametrize("container", ["PNG", "TIFF"])
def test_alpha(container: str) -> None:
    alpha = np.full((60, 20), 255, np.uint8)
    alpha[0], alpha[1] = 0, 51
    rgba = np.concatenate([rgb_planes(), alpha[None]])
    data = (
        tiff_bytes(rgba, photometric="RGB", alpha="YES")
        if container == "TIFF"
        else picture_bytes(np.ascontiguousarray(rgba.transpose(1, 2, 0)), "PNG")
    )
    chip = decode_chip(data, gsd_m=1)
    assert np.all(chip.pixels[0] == 0)
    np.testing.assert_array_equal(chip.pixels[1], np.rint(rgb_picture()[1] * 0.2))
    np.testing.assert_array_equal(chip.pixels[2:], rgb_picture()[2:])
    assert any("half-transparent" in warning for warning in chip.warnings)


def test_opaque_alpha_is_left_out() -> None:
    rgba = np.concatenate([rgb_planes(), np.full((1, 60, 20), 255, np.uint8)])
    chip = decode_chip(tiff_bytes(rgba, photometric="RGB", alpha="YES"), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())
    assert chip.warnings == ("the alpha band was left out",)


def test_16_bits_widened_from_8_are_exact() -> None:
    chip = decode_chip(tiff_bytes(rgb_planes().astype(np.uint16) * 257, photometric="RGB"), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())
    assert chip.bit_depth == "uint16"
    assert chip.warnings == ("16 bits were divided by 257 to 8 bits",)


def test_8_bit_values_in_16_bits_are_kept() -> None:
    chip = decode_chip(tiff_bytes(rgb_planes().astype(np.uint16), photometric="RGB"), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())
    assert chip.warnings == ("16-bit samples of at most 255 were taken as 8-bit",)


def test_11_bits_are_stretched_without_regard_to_a_hot_pixel() -> None:
    planes = rgb_planes().astype(np.uint16) * 8 + 3
    planes[:, 0, 0] = 65535
    chip = decode_chip(tiff_bytes(planes, photometric="RGB"), gsd_m=1)
    top = np.percentile(planes, 99.5)
    expected = np.clip(np.rint(planes.astype(np.float32) * (255.0 / top)), 0, 255)
    np.testing.assert_array_equal(chip.pixels, expected.transpose(1, 2, 0))
    assert chip.pixels.max() == 255
    assert np.median(chip.pixels) > 20
    assert "99.5th percentile" in chip.warnings[0]


def test_unmarked_16_bit_bands_are_rgb_and_the_fourth_is_left_out() -> None:
    planes = np.concatenate([rgb_planes(), rgb_planes()[:1]]).astype(np.uint16) * 257
    chip = decode_chip(tiff_bytes(planes), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())
    assert any("not marked" in warning for warning in chip.warnings)
    assert any("band(s) 4" in warning for warning in chip.warnings)


def test_marked_colours_are_found_in_any_order() -> None:
    red, green, blue = rgb_planes()
    planes = np.stack([blue, green, red, red // 2]).astype(np.uint16) * 257
    marks = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
    data = tiff_bytes(planes, lambda f: setattr(f, "colorinterp", marks))
    np.testing.assert_array_equal(decode_chip(data).pixels, rgb_picture())


def test_named_colours_are_found_among_many_bands() -> None:
    red, green, blue = rgb_planes()
    planes = np.stack([blue, green, red, red, red, red]).astype(np.uint16) * 257

    def name(target: DatasetWriter) -> None:
        for band, colour in enumerate(["Blue", "Green", "Red", "RE", "N", "N2"], start=1):
            target.set_band_description(band, colour)

    chip = decode_chip(tiff_bytes(planes, name), modality=OPTICAL)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())


def png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def png_of(samples: np.ndarray, bits: int, colour: int) -> bytes:
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in samples)
    body = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return png_with_header(20, 60, bits, colour)[:33] + body


@pytest.mark.parametrize(("colour", "bands"), [(2, 3), (4, 2), (6, 4)])
def test_a_16_bit_png_is_the_same_chip_as_a_16_bit_tiff(colour: int, bands: int) -> None:
    """Sensors give 11 bits: the upper 8 of 16 bits hold three of them."""
    samples = np.concatenate([rgb_picture().astype(np.uint16) * 8] * 2, axis=2)[..., :bands]
    if colour in (4, 6):
        samples[..., -1] = 65535
    png = decode_chip(png_of(samples, 16, colour), modality=Modality.OPTICAL, gsd_m=1)
    tiff = decode_chip(
        tiff_bytes(
            samples.transpose(2, 0, 1),
            photometric="RGB" if bands > 2 else "MINISBLACK",
            alpha="yes" if colour in (4, 6) else "no",
        ),
        modality=Modality.OPTICAL,
        gsd_m=1,
    )
    np.testing.assert_array_equal(png.pixels, tiff.pixels)
    assert (png.bit_depth, png.warnings) == ("uint16", tiff.warnings)


def test_a_png_without_its_last_rows_is_rejected() -> None:
    with pytest.raises(CorruptChipError, match="row 40"):
        decode_chip(png_of(rgb_picture()[:40], 8, 2), gsd_m=1)


@pytest.mark.parametrize("entries", [0, 10])
def test_a_pixel_of_a_colour_that_the_palette_lacks_is_rejected(entries: int) -> None:
    indices = np.arange(1200).reshape(60, 20) % 16
    data = png_of(indices, 8, 3)
    palette = png_chunk(b"PLTE", bytes(range(3 * entries))) if entries else b""
    with pytest.raises(CorruptChipError, match=r"palette|PLTE"):
        decode_chip(data[:33] + palette + data[33:], gsd_m=1)


def test_a_jpeg_whose_middle_is_lost_is_rejected() -> None:
    """Decoders fill what is lost with grey in silence."""
    data = good_jpeg()
    for damaged in (data[: len(data) // 2] + data[-2:], data[: len(data) // 2]):
        with pytest.raises(CorruptChipError, match="JPEG is truncated or damaged"):
            decode_chip(damaged, gsd_m=1)


@pytest.mark.parametrize(("frame", "bits"), [(0xC0, 12), (0xC3, 8), (0xC9, 8)])
def test_a_jpeg_of_a_kind_that_is_not_decoded_is_named(frame: int, bits: int) -> None:
    data = bytearray(good_jpeg())
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = frame, bits
    with pytest.raises(UnsupportedFormatError, match="save it as a baseline JPEG"):
        decode_chip(bytes(data), gsd_m=1)


@pytest.mark.parametrize(
    "names",
    [
        ("Blue", "Green", "Red"),
        ("b", "g", "r"),
        ("nir", "red", "green", "blue"),
        ("blue", "green", "red", "nir"),
    ],
)
def test_the_names_of_the_bands_outweigh_the_marks_of_the_writer(names: tuple[str, ...]) -> None:
    """Writers mark three bands of 8 bits as red, green and blue, and a fourth as alpha, unasked."""
    planes = rgb_planes()
    of = {"r": planes[0], "g": planes[1], "b": planes[2], "n": planes[0] // 2}

    def describe(target: DatasetWriter) -> None:
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)

    stacked = np.stack([of[name[0].lower()] for name in names])
    chip = decode_chip(tiff_bytes(stacked, describe, photometric="RGB"), gsd_m=1)
    np.testing.assert_array_equal(chip.pixels, rgb_picture())


@pytest.mark.parametrize("container", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(container: str, orientation: int) -> None:
    image = Image.fromarray(rgb_picture())
    exif = image.getexif()
    exif[274] = orientation
    data = image_bytes(image, container, exif=exif)
    stored = np.asarray(Image.open(io.BytesIO(data)))
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored),
    }
    np.testing.assert_array_equal(decode_chip(data).pixels, turned[orientation])


def test_nodata_in_all_bands_is_black_and_excluded_from_the_stretch() -> None:
    planes = rgb_planes().astype(np.uint16) * 8 + 3
    planes[:, :5] = 65535
    chip = decode_chip(tiff_bytes(planes, photometric="RGB", nodata=65535), gsd_m=1)
    assert np.all(chip.pixels[:5] == 0)
    assert np.percentile(chip.pixels[5:], 99.9) == 255
    assert any("no-data" in warning for warning in chip.warnings)


def test_equal_bands_may_be_stated_to_be_optical() -> None:
    grey = np.repeat(rgb_planes()[:1], 3, axis=0)
    assert decode_chip(tiff_bytes(grey), modality=OPTICAL).modality is OPTICAL


def test_float_samples_are_rejected_as_optical() -> None:
    layout = BandLayout("f", "float32", ("grey",), ("",))
    raster = Raster("TIFF", sar_plane()[None], layout, read=(0,))
    with pytest.raises(PixelTypeError, match="float32"):
        optical_rgb(raster)
