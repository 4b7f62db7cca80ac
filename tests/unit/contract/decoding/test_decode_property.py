"""For any bytes, decoding returns a valid chip or raises a ChipError, in any thread."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError
from tests.support.inputs.chip_builders import (
    georeferenced,
    good_jpeg,
    good_png,
    good_rgb,
    good_sar,
)
from tests.support.inputs.chip_files import picture_bytes, rgb_planes, sar_plane, tiff_bytes

SEEDS = {
    "sar": good_sar(),
    "sar-lzw-tiled": tiff_bytes(
        sar_plane(), compress="lzw", tiled=True, blockxsize=16, blockysize=16
    ),
    "geotiff": georeferenced(1.0),
    "bigtiff": tiff_bytes(sar_plane(), BIGTIFF="YES"),
    "rgb": good_rgb(),
    "rgb-jpeg-tiff": tiff_bytes(rgb_planes(), compress="jpeg", photometric="YCBCR"),
    "png": good_png(),
    "jpeg": good_jpeg(),
    "grey-png": picture_bytes(rgb_planes()[0], "PNG"),
}
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
MODALITIES = st.sampled_from([None, Modality.SAR, Modality.OPTICAL])
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decode_or_reject(data: bytes, modality: Modality | None) -> None:
    try:
        chip = decode_chip(data, modality=modality)
    except ChipError as error:
        assert len(str(error)) > 20  # noqa: PT017 - any other exception fails the test
        return
    require_valid(chip)


def require_valid(chip: Chip) -> None:
    assert min(chip.pixels.shape[:2]) >= 8
    assert np.isfinite(chip.pixels).all()
    assert chip.pixels.min() >= 0
    assert chip.pixels.min() < chip.pixels.max()
    assert 0.05 <= chip.gsd_m <= 30
    if chip.modality is Modality.SAR:
        assert chip.pixels.ndim == 2
        assert chip.pixels.dtype == np.float32
    else:
        assert chip.pixels.shape[2:] == (3,)
        assert chip.pixels.dtype == np.uint8
    if chip.position is not None:
        assert abs(chip.position.lat) <= 90
        assert abs(chip.position.lon) <= 180


@SETTINGS
@given(st.binary(max_size=400), MODALITIES)
def test_random_bytes(data: bytes, modality: Modality | None) -> None:
    decode_or_reject(data, modality)


@SETTINGS
@given(
    st.sampled_from(
        [b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
    ),
    st.binary(max_size=400),
    MODALITIES,
)
def test_random_bytes_after_a_valid_magic_number(
    magic: bytes, rest: bytes, modality: Modality | None
) -> None:
    decode_or_reject(magic + rest, modality)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), modality=MODALITIES)
def test_mutated_chips(name: str, data: st.DataObject, modality: Modality | None) -> None:
    original = SEEDS[name]
    mutated = bytearray(original)
    # Directories and headers are at the beginning and the end; most mutations are there.
    position = st.one_of(
        st.integers(0, min(300, len(original) - 1)),
        st.integers(max(0, len(original) - 300), len(original) - 1),
        st.integers(0, len(original) - 1),
    )
    for at, value in data.draw(
        st.lists(st.tuples(position, st.integers(0, 255)), min_size=1, max_size=8)
    ):
        mutated[at] = value
    cut = data.draw(st.one_of(st.just(len(original)), st.integers(0, len(original))))
    decode_or_reject(bytes(mutated[:cut]), modality)


@pytest.mark.parametrize("name", SEEDS)
def test_every_truncation_is_rejected_or_valid(name: str) -> None:
    original = SEEDS[name]
    for cut in range(0, len(original), max(1, len(original) // 60)):
        decode_or_reject(original[:cut], None)


@SETTINGS
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(8, 40), st.integers(8, 40)),
        elements=st.floats(0, 11, width=32),
    )
)
def test_sar_round_trip_is_exact(plane: NDArray[np.float32]) -> None:
    plane[0, :2] = 0, 11
    np.testing.assert_array_equal(decode_chip(tiff_bytes(plane)).pixels, plane)


@SETTINGS
@given(
    arrays.arrays(np.uint8, st.tuples(st.just(3), st.integers(8, 30), st.integers(8, 30))),
    st.sampled_from(["TIFF", "PNG"]),
)
def test_optical_round_trip_is_exact(planes: NDArray[np.uint8], container: str) -> None:
    planes[:, 0, 0], planes[:, 0, 1] = (1, 2, 3), (4, 5, 6)
    picture = np.ascontiguousarray(planes.transpose(1, 2, 0))
    data = tiff_bytes(planes) if container == "TIFF" else picture_bytes(picture, container)
    np.testing.assert_array_equal(decode_chip(data).pixels, picture)


def test_threads_do_not_mix_results() -> None:
    planes = [sar_plane(30 + n % 7, 20, seed=n) for n in range(120)]
    files = [tiff_bytes(plane, compress="deflate") for plane in planes]
    with ThreadPoolExecutor(8) as pool:
        chips = list(pool.map(decode_chip, files))
    for chip, plane, data in zip(chips, planes, files, strict=True):
        np.testing.assert_array_equal(chip.pixels, plane)
        assert chip.digest == hashlib.sha256(data).hexdigest()
