"""SAR TIFFs of every sample type become amplitude."""

import hashlib
from typing import Any

import numpy as np
import pytest
from rasterio.io import DatasetWriter

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from tests.support.inputs.chip_files import picture_bytes, rgb_planes, sar_plane, tiff_bytes

SAR = Modality.SAR
DEFAULT_GSD = "no ground sampling distance was given"


def test_float32_is_exact_and_only_the_gsd_is_assumed() -> None:
    plane = sar_plane() * 9
    data = tiff_bytes(plane)
    chip = decode_chip(data)
    assert chip.pixels.dtype == np.float32
    np.testing.assert_array_equal(chip.pixels, plane)
    assert (chip.modality, chip.gsd_m, chip.gsd_source) == (SAR, 1.0, "default")
    assert chip.bit_depth == "float32"
    assert chip.position is None
    assert chip.digest == hashlib.sha256(data).hexdigest()
    assert [DEFAULT_GSD in warning for warning in chip.warnings] == [True]
    assert (chip.length_m, chip.width_m) == (60.0, 20.0)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float64"])
@pytest.mark.parametrize("compress", ["none", "lzw", "deflate"])
def test_real_samples_become_float32(kind: str, compress: str) -> None:
    plane = (sar_plane() * 50).astype(kind)
    chip = decode_chip(tiff_bytes(plane, compress=compress), modality=SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, plane.astype(np.float32))
    assert chip.pixels.dtype == np.float32
    assert chip.bit_depth == kind
    assert chip.warnings == ()


@pytest.mark.parametrize("kind", ["complex64", "complex128", "complex_int16"])
def test_complex_samples_become_their_magnitude(kind: str) -> None:
    plane = (np.rint(sar_plane() * 3) * 5).astype(np.complex64)
    plane = (plane.real * 0.6 + 1j * plane.real * 0.8).astype(np.complex64)
    chip = decode_chip(tiff_bytes(plane, dtype=kind), gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, np.abs(plane), rtol=1e-6)
    assert chip.modality is SAR
    assert chip.bit_depth == kind
    assert chip.warnings == ("complex samples: the magnitude was used",)


@pytest.mark.parametrize("layout", [{"tiled": True, "blockxsize": 16, "blockysize": 16}, {}])
@pytest.mark.parametrize("bigtiff", ["YES", "NO"])
def test_layouts(layout: dict[str, Any], bigtiff: str) -> None:
    plane = sar_plane()
    chip = decode_chip(tiff_bytes(plane, BIGTIFF=bigtiff, **layout))
    np.testing.assert_array_equal(chip.pixels, plane)


def test_big_endian() -> None:
    plane = sar_plane()
    np.testing.assert_array_equal(decode_chip(tiff_bytes(plane, ENDIANNESS="BIG")).pixels, plane)


@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
def test_decibels_become_amplitude(kind: str) -> None:
    decibels = np.linspace(-60, 20, 1200).reshape(60, 20).astype(kind)
    chip = decode_chip(tiff_bytes(decibels), modality=SAR, gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, 10 ** (decibels.astype(float) / 20), rtol=6e-4)
    assert chip.warnings == ("values from -60.0 to 20.0 are decibels: turned into amplitude",)


def test_values_in_the_range_of_hoss_are_not_decibels() -> None:
    plane = np.linspace(0, 11, 1200, dtype=np.float32).reshape(60, 20)
    chip = decode_chip(tiff_bytes(plane), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, plane)
    assert chip.warnings == ()


def test_a_small_share_of_negative_values_becomes_zero() -> None:
    plane = sar_plane()
    plane[0, :6] = -0.01
    chip = decode_chip(tiff_bytes(plane), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, np.maximum(plane, 0))
    assert chip.warnings == ("0.5% negative values were set to 0",)


@pytest.mark.parametrize("nodata", [-9999.0, float("nan"), 0.0])
def test_declared_nodata_becomes_zero(nodata: float) -> None:
    plane = sar_plane() + np.float32(0.1)
    plane[:, :2] = nodata
    chip = decode_chip(tiff_bytes(plane, nodata=nodata), gsd_m=1.0)
    assert np.all(chip.pixels[:, :2] == 0)
    np.testing.assert_array_equal(chip.pixels[:, 2:], plane[:, 2:])
    assert chip.warnings == ("10.0% of the pixels are no-data or transparent: set to 0",)


def test_nodata_is_excluded_when_decibels_are_detected() -> None:
    decibels = np.linspace(-40, 10, 1200, dtype=np.float32).reshape(60, 20)
    decibels[0] = -32768
    chip = decode_chip(tiff_bytes(decibels, nodata=-32768), gsd_m=1.0)
    assert np.all(chip.pixels[0] == 0)
    np.testing.assert_allclose(chip.pixels[1:], 10 ** (decibels[1:] / 20), rtol=6e-4)


def dual_polarisation() -> bytes:
    def name(target: DatasetWriter) -> None:
        target.set_band_description(1, "Sigma0_VV")
        target.set_band_description(2, "Sigma0_VH")

    return tiff_bytes(np.stack([sar_plane(seed=1), sar_plane(seed=2)]), name)


def test_the_first_polarisation_is_the_default_with_a_warning() -> None:
    chip = decode_chip(dual_polarisation(), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, sar_plane(seed=1))
    assert chip.warnings == (
        "2 bands (Sigma0_VV, Sigma0_VH): Sigma0_VV was used; choose another with band",
        "the band's name 'Sigma0_VV' speaks of power; it was used as amplitude: send its square "
        "root if it is power",
    )


def test_a_polarisation_can_be_chosen() -> None:
    chip = decode_chip(dual_polarisation(), gsd_m=1.0, band=2)
    np.testing.assert_array_equal(chip.pixels, sar_plane(seed=2))
    (warning,) = chip.warnings
    assert "'Sigma0_VH' speaks of power" in warning


def test_band_names_and_tags_determine_that_integers_are_sar() -> None:
    plane = (sar_plane() * 900).astype(np.uint16)
    quad = np.stack([plane] * 4)
    named = tiff_bytes(quad, lambda f: f.set_band_description(1, "HH"))
    assert decode_chip(named).modality is SAR
    assert decode_chip(tiff_bytes(plane, lambda f: f.update_tags(MODALITY="SAR"))).modality is SAR
    sentinel = {"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD HR L1"}
    assert decode_chip(tiff_bytes(plane, lambda f: f.update_tags(**sentinel))).modality is SAR


def test_unmarked_integer_bands_may_be_stated_to_be_sar() -> None:
    bands = np.stack([(sar_plane(seed=seed) * 900).astype(np.uint16) for seed in range(4)])
    chip = decode_chip(tiff_bytes(bands), modality=SAR, band=3)
    np.testing.assert_array_equal(chip.pixels, bands[2])


@pytest.mark.parametrize("container", ["PNG", "JPEG"])
def test_a_grey_picture_stated_to_be_sar_is_a_quick_look(container: str) -> None:
    grey = rgb_planes()[0]
    chip = decode_chip(picture_bytes(grey, container), modality=SAR, gsd_m=1.0)
    assert chip.pixels.dtype == np.float32
    if container == "PNG":
        np.testing.assert_array_equal(chip.pixels, grey)
    assert len(chip.warnings) == 1
    assert "quick-look" in chip.warnings[0]


def test_a_16_bit_grey_png_keeps_its_values_as_sar() -> None:
    grey = (sar_plane() * 20_000).astype(np.uint16)
    chip = decode_chip(picture_bytes(grey, "PNG"), modality=SAR)
    np.testing.assert_array_equal(chip.pixels, grey)
    assert chip.bit_depth == "uint16"


def test_a_grey_picture_stored_as_rgb_may_be_stated_to_be_sar() -> None:
    grey = rgb_planes()[0]
    data = picture_bytes(np.repeat(grey[..., None], 3, axis=2), "PNG")
    chip = decode_chip(data, modality=SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, grey)
    assert any("stored as RGB" in warning for warning in chip.warnings)


def test_white_is_zero_is_inverted() -> None:
    plane = (sar_plane() * 50).astype(np.uint8)
    chip = decode_chip(tiff_bytes(plane, photometric="MINISWHITE"), modality=SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, 255 - plane)
    assert any("inverted" in warning for warning in chip.warnings)


@pytest.mark.parametrize("nodata", [None, 0, 65535])
def test_white_is_zero_of_12_bits_in_16_is_inverted_at_12_bits(nodata: int | None) -> None:
    plane = (sar_plane() * 500).astype(np.uint16)
    stored = 4095 - plane
    if nodata is not None:
        stored[:5], plane[:5] = nodata, 0
    data = tiff_bytes(stored, photometric="MINISWHITE", nodata=nodata)
    chip = decode_chip(data, modality=SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, plane)
    assert any("4095 is black" in warning for warning in chip.warnings)


def test_overviews_do_not_make_a_tiff_multi_page() -> None:
    plane = sar_plane(256, 64)
    data = tiff_bytes(plane, lambda f: f.build_overviews([2, 4]))
    np.testing.assert_array_equal(decode_chip(data).pixels, plane)
