"""Samples are read for what they mean: scale, decibels, no-data, transparency."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rasterio.io import DatasetWriter

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipContentError, ModalityError, PixelTypeError
from tests.support.inputs.chip_files import rgb_planes, sar_plane, tiff_bytes

DECIBELS = (20 * np.log10(np.maximum(sar_plane(), 1e-3))).astype(np.float32)


def scaled(scale: float, offset: float) -> Callable[[DatasetWriter], None]:
    def finish(target: DatasetWriter) -> None:
        target.scales, target.offsets = (scale,) * target.count, (offset,) * target.count

    return finish


def test_a_scale_is_applied_before_decibels_are_recognised() -> None:
    counts = np.rint(DECIBELS.astype(np.float64) / 0.01).astype(np.int16)
    chip = decode_chip(tiff_bytes(counts, scaled(0.01, 0.0)), modality=Modality.SAR, gsd_m=1.0)
    expected = decode_chip(tiff_bytes(DECIBELS), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, expected.pixels)
    assert any("scale 0.01" in warning for warning in chip.warnings)


def test_an_offset_of_sar_samples_is_refused_with_both_tags_named() -> None:
    counts = np.rint((DECIBELS + 60) / 0.01).astype(np.uint16)
    with pytest.raises(ChipContentError, match=r"SCALE 0\.01 and OFFSET -60.*-unscale"):
        decode_chip(tiff_bytes(counts, scaled(0.01, -60.0)), modality=Modality.SAR, gsd_m=1.0)


def test_an_optical_offset_is_applied_and_a_scale_changes_nothing() -> None:
    counts = rgb_planes().astype(np.uint16) * 40 + 1000
    plain = decode_chip(tiff_bytes(counts - 1000, photometric="RGB"), gsd_m=0.75)
    shifted = decode_chip(tiff_bytes(counts, scaled(1e-4, -0.1), photometric="RGB"), gsd_m=0.75)
    np.testing.assert_array_equal(shifted.pixels, plain.pixels)


def test_optical_scales_that_differ_between_bands_weigh_them() -> None:
    def weigh(target: DatasetWriter) -> None:
        target.scales, target.offsets = (1e-4, 2e-4, 4e-4), (0.0, 0.0, 0.0)

    counts = rgb_planes().astype(np.uint16) * 40
    divided = counts // np.array([1, 2, 4], np.uint16)[:, None, None]
    plain = decode_chip(tiff_bytes(counts, photometric="RGB"), gsd_m=0.75)
    weighed = decode_chip(tiff_bytes(divided, weigh, photometric="RGB"), gsd_m=0.75)
    np.testing.assert_array_equal(weighed.pixels, plain.pixels)
    assert any("scales were applied" in warning for warning in weighed.warnings)


@pytest.mark.parametrize("scale", [-1.0, 0.0, float("nan"), float("inf")])
def test_an_optical_scale_that_is_not_positive_is_refused(scale: float) -> None:
    data = tiff_bytes(rgb_planes(), scaled(scale, 0.0), photometric="RGB")
    with pytest.raises(ChipContentError, match="must be positive"):
        decode_chip(data, gsd_m=0.75)


def test_minus_infinity_decibels_are_amplitude_zero() -> None:
    plane = DECIBELS.copy()
    plane[0, :5] = -np.inf
    chip = decode_chip(tiff_bytes(plane), gsd_m=1.0)
    assert np.all(chip.pixels[0, :5] == 0)
    np.testing.assert_allclose(chip.pixels[1:], decode_chip(tiff_bytes(DECIBELS)).pixels[1:])
    assert any("minus infinity" in warning for warning in chip.warnings)


@pytest.mark.parametrize("bad", [-np.inf, np.inf, np.nan])
def test_infinite_amplitudes_are_rejected(bad: float) -> None:
    plane = sar_plane()
    plane[0, 0] = bad
    with pytest.raises(ChipContentError, match="NaN or infinite"):
        decode_chip(tiff_bytes(plane), gsd_m=1.0)


def test_a_rounded_no_data_value_is_recognised_and_both_values_are_named() -> None:
    plane = sar_plane()
    plane[:3] = np.finfo(np.float32).min
    chip = decode_chip(tiff_bytes(plane, nodata=-3.4e38), gsd_m=1.0)
    assert np.all(chip.pixels[:3] == 0)
    assert any("-3.40282e+38" in w and "-3.4e+38" in w for w in chip.warnings)


def with_alpha(alpha: NDArray[np.generic]) -> bytes:
    planes = rgb_planes().astype(alpha.dtype)
    return tiff_bytes(np.concatenate([planes, alpha[None]]), photometric="RGB", alpha="YES")


@pytest.mark.parametrize(("kind", "opaque"), [("uint8", 1), ("uint16", 1), ("uint16", 2047)])
def test_an_alpha_band_of_two_values_is_a_flag(kind: str, opaque: int) -> None:
    alpha = np.full((60, 20), opaque, kind)
    alpha[:3] = 0
    chip = decode_chip(with_alpha(alpha), gsd_m=0.75)
    np.testing.assert_array_equal(chip.pixels, rgb_planes().transpose(1, 2, 0))
    assert not any("half-transparent" in warning for warning in chip.warnings)
    assert any("5.0%" in warning for warning in chip.warnings)


@pytest.mark.parametrize("opacity", [64, 128, 254])
def test_an_alpha_band_of_one_value_tells_no_pixels_apart(opacity: int) -> None:
    chip = decode_chip(with_alpha(np.full((60, 20), opacity, np.uint8)), gsd_m=0.75)
    np.testing.assert_array_equal(chip.pixels, rgb_planes().transpose(1, 2, 0))
    assert chip.warnings == (
        f"the alpha band is {opacity} everywhere, which tells no pixels apart: all were taken as "
        "opaque",
    )


@pytest.mark.parametrize("high", [200, 255])
def test_a_near_infrared_band_tagged_as_alpha_is_no_transparency(high: int) -> None:
    infrared = np.random.default_rng(1).integers(8, high, (60, 20)).astype(np.uint8)
    infrared[0, 0] = high
    chip = decode_chip(with_alpha(infrared), gsd_m=0.75)
    np.testing.assert_array_equal(chip.pixels, rgb_planes().transpose(1, 2, 0))
    assert any("varies like a picture" in warning for warning in chip.warnings)


def test_a_second_radar_band_tagged_as_alpha_is_named_as_left_out() -> None:
    planes = np.stack([(sar_plane(seed=seed) * 900).astype(np.uint16) for seed in (1, 2)])
    chip = decode_chip(tiff_bytes(planes, alpha="YES"), modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes[0])
    assert any("varies like a picture" in warning for warning in chip.warnings)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_transparent_colour_of_a_png_is_no_data(mode: str) -> None:
    pixels = np.ascontiguousarray(rgb_planes().transpose(1, 2, 0))
    pixels = pixels if mode == "RGB" else pixels[..., 0]
    pixels[:6] = 255
    buffer = io.BytesIO()
    transparency = (255, 255, 255) if mode == "RGB" else 255
    Image.fromarray(pixels).save(buffer, "PNG", transparency=transparency, pnginfo=PngInfo())
    chip = decode_chip(buffer.getvalue(), modality=Modality.OPTICAL, gsd_m=0.75)
    assert np.all(chip.pixels[:6] == 0)
    assert any("no-data" in warning for warning in chip.warnings)


@pytest.mark.parametrize("opaque", [1, 255])
@pytest.mark.parametrize("kind", ["float32", "uint16", "int16"])
def test_the_alpha_band_of_a_radar_chip_marks_missing_pixels(kind: str, opaque: int) -> None:
    plane = (sar_plane() * 100).astype(kind)
    alpha = np.full((60, 20), opaque, kind)
    alpha[:6] = 0
    data = tiff_bytes(np.stack([plane, alpha]), alpha="YES")
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    assert np.all(chip.pixels[:6] == 0)
    np.testing.assert_array_equal(chip.pixels[6:], plane[6:])


def test_the_transparent_colour_of_a_16_bit_png_is_no_data() -> None:
    pixels = rgb_planes().transpose(1, 2, 0).astype(np.uint16) * 257
    pixels[:6] = 65535
    data = png16(pixels, struct.pack(">HHH", 65535, 65535, 65535))
    assert np.all(decode_chip(data, gsd_m=0.75).pixels[:6] == 0)


def png16(pixels: NDArray[np.uint16], transparent: bytes) -> bytes:
    """A PNG of 16 bits per colour, which Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
        + chunk(b"tRNS", transparent)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_the_no_data_index_of_a_palette_is_no_data() -> None:
    def colour(target: DatasetWriter) -> None:
        target.write_colormap(1, {i: (i, 255 - i, i // 2, 255) for i in range(256)})

    indices = rgb_planes()[0]
    indices[:6] = 0
    data = tiff_bytes(indices, colour, nodata=0, photometric="PALETTE")
    chip = decode_chip(data, modality=Modality.OPTICAL, gsd_m=0.75)
    assert np.all(chip.pixels[:6] == 0)
    assert np.any(chip.pixels[6] != 0)


def test_text_that_speaks_of_sar_makes_unmarked_colours_a_question() -> None:
    data = tiff_bytes(
        rgb_planes(), lambda f: f.update_tags(POLARISATION="HH,HV,VV"), photometric="MINISBLACK"
    )
    with pytest.raises(ModalityError, match="speaks of SAR; say which"):
        decode_chip(data, gsd_m=1.0)
    assert decode_chip(data, modality=Modality.OPTICAL).modality is Modality.OPTICAL
    assert decode_chip(data, modality=Modality.SAR).modality is Modality.SAR


@pytest.mark.parametrize(
    "text", ["Optical reference for SAR chip 11", "over the Capella anchorage", "Sentinel-1 style"]
)
@pytest.mark.parametrize("claimed", [None, Modality.OPTICAL])
def test_free_text_never_contradicts_the_samples_or_the_caller(
    text: str, claimed: Modality | None
) -> None:
    data = tiff_bytes(
        rgb_planes(), lambda f: f.update_tags(TIFFTAG_IMAGEDESCRIPTION=text), photometric="RGB"
    )
    assert decode_chip(data, modality=claimed, gsd_m=0.75).modality is Modality.OPTICAL


def test_free_text_decides_where_nothing_else_does_and_says_so() -> None:
    plane = (sar_plane() * 99).astype(np.uint16)
    data = tiff_bytes(plane, lambda f: f.update_tags(TIFFTAG_IMAGEDESCRIPTION="ICEYE spotlight"))
    chip = decode_chip(data, gsd_m=1.0)
    assert chip.modality is Modality.SAR
    assert any("text says so" in warning for warning in chip.warnings)
    assert decode_chip(data, modality=Modality.OPTICAL, gsd_m=1.0).modality is Modality.OPTICAL


@pytest.mark.parametrize("name", ["VV", "vh", " HH "])
def test_a_band_named_exactly_after_a_polarisation_is_sar(name: str) -> None:
    plane = (sar_plane() * 99).astype(np.uint16)
    data = tiff_bytes(plane, lambda f: f.set_band_description(1, name))
    assert decode_chip(data, gsd_m=1.0).modality is Modality.SAR
    with pytest.raises(ModalityError, match="named after a polarisation"):
        decode_chip(data, modality=Modality.OPTICAL, gsd_m=1.0)


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (("angle", "VV", "VH"), 1),
        (("dataMask", "Sigma0_VH_db"), 1),
        (("localIncidenceAngle_VV", "Sigma0_VV"), 1),
        (("phase_VV", "amplitude_VV"), 1),
        (("Gamma0_VV_mask", "ratio", "HV"), 2),
        (("", ""), 0),
    ],
)
def test_the_first_band_named_after_a_polarisation_is_the_default(
    names: tuple[str, ...], used: int
) -> None:
    planes = np.stack([sar_plane(seed=seed) for seed in range(len(names))])

    def describe(target: DatasetWriter) -> None:
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)

    chip = decode_chip(tiff_bytes(planes, describe), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes[used])


def test_a_float_panchromatic_chip_is_told_what_an_optical_chip_must_be() -> None:
    with pytest.raises(PixelTypeError, match="8 or 16 bits") as rejected:
        decode_chip(tiff_bytes(sar_plane()), modality=Modality.OPTICAL)
    assert "send modality" not in str(rejected.value)


def test_a_false_colour_composite_is_told_to_send_one_polarisation() -> None:
    data = tiff_bytes(rgb_planes(), photometric="RGB")
    with pytest.raises(ModalityError, match="false-colour composite"):
        decode_chip(data, modality=Modality.SAR, gsd_m=1.0)


def declaring(text: bytes, samples: NDArray[Any]) -> bytes:
    """A TIFF whose no-data value is declared by a text, as writers other than GDAL do."""
    data = tiff_bytes(samples, nodata=1.0)
    at = data.rindex(struct.pack("<HH", 42113, 2))
    body = text + b"\0"
    if len(body) > 4:
        place, data = len(data), data + body
        value = struct.pack("<I", place)
    else:
        value = body.ljust(4, b"\0")
    return data[: at + 4] + struct.pack("<I", len(body)) + value + data[at + 12 :]


@pytest.mark.parametrize(
    "text", [b"nan", b"NaN", b"NAN", b"-nan", b"-nan(ind)", b"1.#QNAN", b" nan "]
)
def test_every_spelling_of_nan_declares_it(text: bytes) -> None:
    plane = sar_plane()
    plane[:10] = np.nan
    chip = decode_chip(declaring(text, plane), gsd_m=1.0)
    assert (chip.pixels[:10] == 0).all()
    np.testing.assert_array_equal(chip.pixels[10:], plane[10:])


@pytest.mark.parametrize("text", [b"65535", b"65535.0", b"6.5535e4", b"+65535", b"65535 65535"])
def test_every_spelling_of_a_number_declares_it(text: bytes) -> None:
    plane = (sar_plane() * 900).astype(np.uint16)
    plane[:10] = 65535
    chip = decode_chip(declaring(text, plane), modality=Modality.SAR, gsd_m=1.0)
    assert (chip.pixels[:10] == 0).all()
    assert chip.pixels.max() < 65535


@pytest.mark.parametrize("text", [b"-1", b"65536", b"nan", b"65535.4", b"-inf", b"none", b"0xFFFF"])
def test_a_no_data_value_that_no_sample_can_have_is_named(text: bytes) -> None:
    """Pixels that were meant by it count as data, and that must not stay unsaid."""
    plane = (sar_plane() * 900).astype(np.uint16)
    plane[:10] = 65535
    chip = decode_chip(declaring(text, plane), modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, plane)
    declared, filling = chip.warnings
    assert f"the declared no-data value {text.decode()}" in declared.replace("'", "")
    assert "exactly 65535" in filling


def test_a_text_that_is_no_number_declares_nothing() -> None:
    """GDAL reads it as 0, and 0 dB is a bright echo."""
    decibels = DECIBELS.copy()
    decibels[30, 10] = 0.0
    chip = decode_chip(declaring(b"none", decibels), gsd_m=1.0)
    assert chip.pixels[30, 10] == 1.0


def test_many_pixels_of_exactly_0_decibels_warn() -> None:
    decibels = DECIBELS - np.float32(20)
    decibels[:10] = 0.0
    chip = decode_chip(tiff_bytes(decibels), gsd_m=1.0)
    assert any("exactly 0 dB" in warning for warning in chip.warnings)
    declared = decode_chip(tiff_bytes(decibels, nodata=0.0), gsd_m=1.0)
    assert (declared.pixels[:10] == 0).all()
    assert not any("exactly 0 dB" in warning for warning in declared.warnings)


@pytest.mark.parametrize("scale", [-0.01, 0.0, float("nan")])
def test_a_scale_of_sar_samples_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(ChipContentError, match="a scale must be positive"):
        decode_chip(tiff_bytes(sar_plane(), scaled(scale, 0.0)), gsd_m=1.0)


def test_a_scale_beyond_all_proportion_is_refused() -> None:
    with pytest.raises(ChipContentError, match="largest SAR amplitude"):
        decode_chip(tiff_bytes(sar_plane(), scaled(1e300, 0.0)), gsd_m=1.0)


@pytest.mark.parametrize("offset", [1e300, -1e300])
def test_an_optical_offset_beyond_the_samples_is_refused(offset: float) -> None:
    with pytest.raises(ChipContentError, match="offsets lie within the range"):
        decode_chip(tiff_bytes(rgb_planes(), scaled(1.0, offset), photometric="RGB"), gsd_m=1.0)


def test_a_scale_that_stands_in_a_text_only_is_named() -> None:
    def tag(target: DatasetWriter) -> None:
        target.update_tags(1, scale_factor="0.01")

    (warning,) = decode_chip(tiff_bytes(sar_plane(), tag), gsd_m=1.0).warnings
    assert "scale_factor=0.01" in warning


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("Intensity_VV", "speaks of power"),
        ("C11", "speaks of power"),
        ("|HH|^2", "speaks of power"),
        ("Entropy", "speaks of no amplitude"),
        ("VV/VH", "speaks of no amplitude"),
        ("incidence_angle", "speaks of no amplitude"),
        ("VV_db", "named decibels"),
    ],
)
def test_a_band_whose_name_speaks_of_something_else_warns(name: str, doubt: str) -> None:
    chip = decode_chip(
        tiff_bytes(sar_plane(), lambda target: target.set_band_description(1, name)), gsd_m=1.0
    )
    (warning,) = chip.warnings
    assert doubt in warning


def test_colours_that_were_multiplied_by_alpha_are_not_multiplied_again() -> None:
    planes = np.concatenate([rgb_planes(), np.full((1, 60, 20), 255, np.uint8)])
    planes[3, :10] = 128
    plain = decode_chip(tiff_bytes(planes, photometric="RGB", alpha="non-premultiplied"), gsd_m=1)
    assert (plain.pixels[:10] < rgb_planes().transpose(1, 2, 0)[:10]).all()
    done = decode_chip(tiff_bytes(planes, photometric="RGB", alpha="premultiplied"), gsd_m=1)
    np.testing.assert_array_equal(done.pixels, rgb_planes().transpose(1, 2, 0))


@pytest.mark.parametrize("fill", [complex(-9999, 0), complex(-9999, -9999)])
def test_complex_pixels_are_no_data_in_one_half_or_both(fill: complex) -> None:
    plane = sar_plane().astype(np.complex64)
    plane[:5] = fill
    chip = decode_chip(tiff_bytes(plane, nodata=-9999), gsd_m=1.0)
    assert not chip.pixels[:5].any()
    np.testing.assert_allclose(chip.pixels[5:], sar_plane()[5:], rtol=1e-6)
