"""What names, units and fillings say of the samples is used, or said."""

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from rasterio.io import DatasetWriter

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.decoding.modality import sensor_warnings
from service.contract.errors import CorruptChipError, ModalityError
from tests.support.inputs.chip_files import (
    image_bytes,
    picture_bytes,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)

PICTURE = rgb_planes().transpose(1, 2, 0)
POLS = ("HH", "HV", "VH", "VV")


def named(*names: str) -> Callable[[DatasetWriter], None]:
    def finish(target: DatasetWriter) -> None:
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)

    return finish


def in_unit(unit: str) -> Callable[[DatasetWriter], None]:
    return lambda target: target.set_band_unit(1, unit)


def in_text(band: int, **texts: str) -> Callable[[DatasetWriter], None]:
    """Texts of the file, band 0, or of a band."""
    return lambda target: target.update_tags(band, **texts)


def warned(chip: Chip, text: str) -> bool:
    return any(text in warning for warning in chip.warnings)


@pytest.mark.parametrize(
    "names", [("i_VV", "q_VV"), ("VV_real", "VV_imag"), ("I", "Q"), ("Re(VV)", "Im(VV)")]
)
def test_two_bands_named_halves_are_complex_samples(names: tuple[str, str]) -> None:
    halves = np.stack([sar_plane(seed=1), sar_plane(seed=2)])
    chip = decode_chip(tiff_bytes(halves, named(*names)), gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, np.hypot(*halves), rtol=1e-6)
    assert warned(chip, "halves of complex samples")
    alone = decode_chip(tiff_bytes(halves, named(*names)), gsd_m=1.0, band=2)
    np.testing.assert_array_equal(alone.pixels, halves[1])
    assert warned(alone, "speaks of no amplitude")


def test_the_first_halves_of_several_polarisations_are_taken_before_their_power() -> None:
    planes = np.stack([sar_plane(seed=seed) for seed in range(5)])
    names = ("Intensity_VH", "i_VH", "q_VH", "i_VV", "q_VV")
    data = tiff_bytes(planes, named(*names))
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, np.hypot(planes[1], planes[2]), rtol=1e-6)
    assert warned(chip, "i_VH and q_VH are halves of complex samples")


def test_two_unnamed_bands_around_zero_are_complex_samples() -> None:
    phase = np.random.default_rng(3).uniform(0, 2 * np.pi, sar_plane().shape)
    halves = np.rint(sar_plane() * [np.cos(phase), np.sin(phase)]).astype(np.int16)
    chip = decode_chip(tiff_bytes(halves), modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, np.hypot(*halves.astype(float)), rtol=1e-6)
    assert warned(chip, "halves of complex samples")


@pytest.mark.parametrize("shift", [0, -300])
def test_two_unnamed_bands_of_other_values_are_no_halves(shift: int) -> None:
    """Amplitudes and negated ones: the first of them is used or refused as before."""
    first = np.rint(sar_plane()).astype(np.int16)
    data = tiff_bytes(np.stack([first, np.rint(sar_plane(seed=2)).astype(np.int16) + shift]))
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, first)


def test_the_halves_of_a_covariance_are_no_complex_samples() -> None:
    planes = np.stack([sar_plane(seed=seed) for seed in range(3)])
    data = tiff_bytes(planes, named("C11", "C12_real", "C12_imag"))
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes[0])
    assert warned(chip, "C11 was used")


def test_the_intensity_beside_them_is_taken() -> None:
    planes = np.stack([sar_plane(seed=1), sar_plane(seed=2), sar_plane(seed=3)])
    data = tiff_bytes(planes, named("i_VV", "q_VV", "Amplitude_VV"))
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes[2])


@pytest.mark.parametrize(
    "names",
    [
        *(("Intensity_VV", "Amplitude_VV"), ("Sigma0_VV", "Sigma0_VV_db")),
        *(("angle", "backscatter"), ("std VV", "mean VV"), ("VV_count", "VV_mean"), ("LIA", "DN")),
    ],
)
def test_a_band_of_amplitude_is_taken_before_one_of_power(names: tuple[str, str]) -> None:
    planes = np.stack([sar_plane(seed=1), sar_plane(seed=2)])
    chip = decode_chip(tiff_bytes(planes, named(*names)), modality=Modality.SAR, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes[1])


@pytest.mark.parametrize(
    ("unit", "text"), [("dB", "are not: used as amplitude"), ("degree", "speaks of no amplitude")]
)
def test_the_unit_of_a_band_is_compared_with_its_samples(unit: str, text: str) -> None:
    assert not warned(decode_chip(tiff_bytes(sar_plane()), gsd_m=1.0), text)
    assert warned(decode_chip(tiff_bytes(sar_plane(), in_unit(unit)), gsd_m=1.0), text)


@pytest.mark.parametrize(
    "declare",
    [named("Sigma0_VV_db"), in_unit("dB"), in_text(0, Units="dB"), in_text(1, unit="decibel")],
)
@pytest.mark.parametrize(
    ("darkest_db", "brightest_db"),
    [(-9.0, 30.0), (-0.5, 30.0), pytest.param(14.0, 90.0, id="uncalibrated")],
)
def test_named_decibels_of_a_bright_ship_are_decibels(
    declare: Callable[[DatasetWriter], None], darkest_db: float, brightest_db: float
) -> None:
    decibels = np.linspace(darkest_db, brightest_db, 1200, dtype=np.float32).reshape(60, 20)
    chip = decode_chip(tiff_bytes(decibels, declare), gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, 10 ** (decibels / 20), rtol=6e-4)
    assert warned(chip, "are decibels")


@pytest.mark.parametrize(("brightest", "wrapped"), [(20_000, False), (40_000, True)])
def test_bright_counts_that_were_written_as_int16_are_named(brightest: int, wrapped: bool) -> None:
    counts = (sar_plane() * 1000).astype(np.int32)
    counts[30, 8:12] = (brightest, brightest, -7, brightest)
    chip = decode_chip(tiff_bytes(counts.astype(np.int16)), modality=Modality.SAR, gsd_m=1.0)
    assert warned(chip, "negative values were set to 0")
    assert warned(chip, "may be bright pixels of uint16 written as int16") is wrapped


def test_decibels_of_8_bits_are_named() -> None:
    counts = (sar_plane() * 20).astype(np.uint8)
    chip = decode_chip(tiff_bytes(counts, named("VV_dB")), modality=Modality.SAR, gsd_m=1.0)
    assert warned(chip, "are not: used as amplitude")


@pytest.mark.parametrize("names", [("B2 (Blue)", "B3 (Green)", "B4 (Red)"), ("b", "g", "r")])
def test_colours_are_found_in_longer_names(names: tuple[str, str, str]) -> None:
    planes = rgb_planes()
    chip = decode_chip(tiff_bytes(planes[::-1], named(*names), photometric="RGB"), gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes.transpose(1, 2, 0))
    assert not warned(chip, "as the file marks them")


@pytest.mark.parametrize("names", [POLS, tuple(f"Amplitude_{p}" for p in POLS)])
def test_polarisations_are_no_colours_however_the_writer_marks_them(names: tuple[str, ...]) -> None:
    planes = np.stack([(sar_plane(seed=seed) * 50).astype(np.uint8) for seed in range(4)])
    data = tiff_bytes(planes, named(*names), photometric="RGB", alpha="YES")
    first = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    assert warned(first, f"4 bands ({', '.join(names)}): {names[0]} was used")
    last = decode_chip(data, modality=Modality.SAR, band=4, gsd_m=1.0)
    np.testing.assert_array_equal(last.pixels, planes[3])


def test_bands_that_mention_polarisations_are_not_taken_for_colours() -> None:
    planes = np.stack([(sar_plane(seed=seed) * 50).astype(np.uint8) for seed in range(3)])
    data = tiff_bytes(planes, named("Amp_VV", "Amp_VH", "Amp_HH"), photometric="RGB")
    with pytest.raises(ModalityError, match="speaks of SAR"):
        decode_chip(data, gsd_m=1.0)


def test_names_that_do_not_confirm_the_marks_warn() -> None:
    data = tiff_bytes(rgb_planes(), named("B02", "B03", "B04"), photometric="RGB")
    assert warned(decode_chip(data, gsd_m=1.0), "B02, B03, B04 were taken as red, green, blue")


def test_a_red_edge_is_not_red() -> None:
    data = tiff_bytes(rgb_planes(), named("Red Edge", "Green", "Blue"), photometric="RGB")
    assert warned(decode_chip(data, gsd_m=1.0), "Red Edge, Green, Blue were taken")


def scaled(target: DatasetWriter) -> None:
    target.scales = [0.01]
    target.set_band_description(1, "VV calm")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"Metadata>\n", b"Metadata \n", id="a bracket"),
        pytest.param(b'role="scale"', b'r\xffle  scale"', id="no UTF-8"),
        pytest.param(b"</GDAL", b"      ", id="the end"),
    ],
)
def test_metadata_that_cannot_be_parsed_warn(old: bytes, new: bytes) -> None:
    data = tiff_bytes((sar_plane() * 1000).astype(np.uint16), scaled)
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0)
    assert warned(chip, "scale 0.01 was applied")
    assert not warned(chip, "damaged")
    chip = decode_chip(data.replace(old, new, 1), modality=Modality.SAR, gsd_m=1.0)
    assert not warned(chip, "scale 0.01 was applied")
    assert warned(chip, "scales of the bands in the TIFF are damaged")


def test_a_band_name_that_is_no_utf_8_is_refused_in_plain_words() -> None:
    data = tiff_bytes(sar_plane(), named("VV calm")).replace(b"VV calm", b"VV \xe9alm")
    with pytest.raises(CorruptChipError, match="the name or the unit of a band"):
        decode_chip(data, gsd_m=1.0)


@pytest.mark.parametrize(
    "texts", [{"MODALITY": "optical"}, {"TIFFTAG_IMAGEDESCRIPTION": "WorldView-3 panchromatic"}]
)
def test_floats_that_speak_of_an_optical_sensor_are_asked_about(texts: dict[str, str]) -> None:
    data = tiff_bytes(sar_plane(), in_text(0, **texts))
    with pytest.raises(ModalityError, match="float32 is read as SAR, but the file's text"):
        decode_chip(data, gsd_m=1.0)
    assert decode_chip(data, modality=Modality.SAR, gsd_m=1.0).modality is Modality.SAR
    grey = tiff_bytes(rgb_planes()[:1], in_text(0, **texts))
    chip = decode_chip(grey, gsd_m=1.0)
    assert chip.modality is Modality.OPTICAL
    assert warned(chip, "taken for optical because the file's text says so")


def test_a_cmyk_jpeg_that_may_be_a_negative_warns() -> None:
    marked = image_bytes(Image.fromarray(PICTURE).convert("CMYK"), "JPEG")
    at = marked.index(b"Adobe") - 4
    plain = marked[:at] + marked[at + 2 + int.from_bytes(marked[at + 2 : at + 4]) :]
    assert not warned(decode_chip(marked, gsd_m=1.0), "negative")
    assert warned(decode_chip(plain, gsd_m=1.0), "send it as RGB if it is a negative now")


@pytest.mark.parametrize("fill", [65535, 40000])
@pytest.mark.parametrize("modality", list(Modality))
def test_a_filling_that_is_not_declared_warns(modality: Modality, fill: int) -> None:
    planes = rgb_planes().astype(np.uint16) * 9
    planes = planes if modality is Modality.OPTICAL else planes[:1]
    assert not warned(decode_chip(tiff_bytes(planes), modality=modality, gsd_m=1.0), "exactly")
    planes[:, :, :2] = fill
    chip = decode_chip(tiff_bytes(planes), modality=modality, gsd_m=1.0)
    assert warned(chip, f"10.0% of the pixels are exactly {fill}")


def with_gamma(gamma: float) -> bytes:
    data = picture_bytes(PICTURE, "PNG")
    chunk = b"gAMA" + round(gamma * 100_000).to_bytes(4)
    whole = (4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    return data[:33] + whole + data[33:]  # after the signature and the chunk IHDR


def test_an_unusual_gamma_warns() -> None:
    usual = decode_chip(with_gamma(0.45455), gsd_m=1.0)
    linear = decode_chip(with_gamma(1.0), gsd_m=1.0)
    np.testing.assert_array_equal(linear.pixels, PICTURE)
    assert warned(linear, "a gamma of 1, which was not applied")
    assert usual.warnings == ()


def set_dots_per_inch(target: DatasetWriter) -> None:
    target.update_tags(TIFFTAG_XRESOLUTION=72, TIFFTAG_YRESOLUTION=36, TIFFTAG_RESOLUTIONUNIT=2)


@pytest.mark.parametrize("container", ["PNG", "JPEG"])
def test_pixels_of_a_picture_that_are_not_square_warn(container: str) -> None:
    even = decode_chip(picture_bytes(PICTURE, container, dpi=(72, 72)), gsd_m=1.0)
    assert not warned(even, "not square")
    uneven = decode_chip(picture_bytes(PICTURE, container, dpi=(72, 36)), gsd_m=1.0)
    assert warned(uneven, "not square")


def test_pixels_of_a_tiff_that_are_not_square_warn() -> None:
    data = tiff_bytes(rgb_planes(), set_dots_per_inch, photometric="RGB")
    assert warned(decode_chip(data, gsd_m=1.0), "(72 : 36 pixels per unit)")


@pytest.mark.parametrize(
    ("sensor", "modality"),
    [
        *(("TerraSAR-X", Modality.OPTICAL), ("Sentinel-1B IW", Modality.OPTICAL)),
        *(("WorldView-3", Modality.SAR), ("Pléiades Neo", Modality.SAR), ("GF-2", Modality.SAR)),
    ],
)
def test_a_sensor_of_the_other_modality_warns(sensor: str, modality: Modality) -> None:
    [warning] = sensor_warnings(sensor, modality)
    assert f"but the chip was read as {modality.value}" in warning
    [other] = set(Modality) - {modality}
    assert sensor_warnings(sensor, other) == ()


@pytest.mark.parametrize("sensor", [None, "X-band", "Sentinel-1 and Sentinel-2", "GF-12", "drone"])
def test_a_sensor_that_names_no_modality_does_not_warn(sensor: str | None) -> None:
    assert not any(sensor_warnings(sensor, modality) for modality in Modality)
