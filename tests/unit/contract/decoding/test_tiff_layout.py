"""The page that is decoded is the page that was checked, in every kind of TIFF."""

import struct
import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from service.contract.chip import Modality
from service.contract.decoding import tiff
from service.contract.decoding.decode import decode_chip
from service.contract.decoding.tiff_directories import MAX_PAGES, MAX_SEGMENTS
from service.contract.decoding.tiff_layout import read_full_page
from service.contract.errors import CorruptChipError, UnsupportedFormatError
from tests.support.inputs.chip_files import raw_tiff, rgb_planes, sar_plane, tiff_bytes
from tests.support.inputs.tiff_writer import Page, write_tiff

WRITERS = [
    pytest.param(order, big, id=f"{'big' if big else 'classic'}-{'II' if order == '<' else 'MM'}")
    for order in "<>"
    for big in (False, True)
]
FULL = sar_plane(60, 20)
THUMBNAIL = sar_plane(15, 10, seed=1)


@pytest.mark.parametrize(("order", "big"), WRITERS)
def test_a_thumbnail_before_the_picture_is_passed_over(order: Literal["<", ">"], big: bool) -> None:
    data = write_tiff([Page(THUMBNAIL, subfile=1), Page(FULL)], order=order, big=big)
    assert read_full_page(data)[0].index == 1
    np.testing.assert_array_equal(decode_chip(data, gsd_m=1.0).pixels, FULL)


@pytest.mark.parametrize(("order", "big"), WRITERS)
def test_an_overview_larger_than_the_picture_is_rejected(
    order: Literal["<", ">"], big: bool
) -> None:
    for pages in ([Page(FULL, subfile=1), Page(THUMBNAIL)], [Page(THUMBNAIL), Page(FULL, 1)]):
        with pytest.raises(CorruptChipError, match="20 x 60 pixels as an overview"):
            decode_chip(write_tiff(pages, order=order, big=big), gsd_m=1.0)


@pytest.mark.parametrize(("order", "big"), WRITERS)
def test_a_thumbnail_whose_picture_is_in_an_inner_directory_is_rejected(
    order: Literal["<", ">"], big: bool
) -> None:
    """Cameras and some editors keep the picture there (tag 330), and readers open the thumbnail."""
    thumbnail, full = Page(THUMBNAIL), Page(FULL)
    with pytest.raises(CorruptChipError, match=r"20 x 60 pixels as .* inner directory"):
        decode_chip(with_inner_directory(thumbnail, full, order=order, big=big), gsd_m=1.0)
    data = with_inner_directory(full, thumbnail, order=order, big=big)
    np.testing.assert_array_equal(decode_chip(data, gsd_m=1.0).pixels, FULL)


def with_inner_directory(page: Page, inner: Page, *, order: Literal["<", ">"], big: bool) -> bytes:
    """A TIFF whose first page names the directory of the second as an inner one (tag 330)."""
    marked = replace(page, extra=((330, 1),))
    alone = write_tiff([marked], order=order, big=big)
    both = bytearray(write_tiff([marked, inner], order=order, big=big))
    word = order + ("Q" if big else "I")
    link = len(alone) - struct.calcsize(word)
    (inner_at,) = struct.unpack_from(word, both, link)
    struct.pack_into(word, both, link, 0)
    entry = struct.pack(order + "HH", 330, 16 if big else 4) + struct.pack(word, 1)
    struct.pack_into(word, both, both.index(entry) + len(entry), inner_at)
    return bytes(both)


def test_a_picture_in_a_nested_or_chained_inner_directory_is_rejected() -> None:
    larger = sar_plane(80, 30)
    for nested in (True, False):
        data = three_directories(Page(FULL), Page(THUMBNAIL), Page(larger), nested=nested)
        with pytest.raises(CorruptChipError, match=r"30 x 80 pixels as .* inner directory"):
            decode_chip(data, gsd_m=1.0)
        small = three_directories(Page(FULL), Page(THUMBNAIL), Page(THUMBNAIL), nested=nested)
        np.testing.assert_array_equal(decode_chip(small, gsd_m=1.0).pixels, FULL)


def test_inner_directories_that_name_each_other_are_read_once() -> None:
    data = three_directories(Page(FULL), Page(THUMBNAIL), Page(THUMBNAIL), nested=True, circle=True)
    np.testing.assert_array_equal(decode_chip(data, gsd_m=1.0).pixels, FULL)


def test_more_inner_directories_than_make_sense_are_rejected() -> None:
    data = bytearray(write_tiff([Page(FULL, extra=((330, 1),))]))
    entry = data.index(struct.pack("<HHI", 330, 4, 1))
    struct.pack_into("<II", data, entry + 4, MAX_PAGES + 1, len(data))
    data += struct.pack(f"<{MAX_PAGES + 1}I", *range(8, 9 + MAX_PAGES))
    with pytest.raises(UnsupportedFormatError, match=f"more than {MAX_PAGES} pages"):
        decode_chip(bytes(data), gsd_m=1.0)


def three_directories(
    first: Page, second: Page, third: Page, *, nested: bool, circle: bool = False
) -> bytes:
    """A TIFF whose second page is an inner one of the first, and the third follows it.

    Args:
        nested: whether the third is an inner directory of the second, or the next in its chain.
        circle: whether the third names the second as an inner one.
    """
    inner = (330, 1)
    pages = [
        replace(first, extra=(inner,)),
        replace(second, extra=(inner,) if nested else ()),
        replace(third, extra=(inner,) if circle else ()),
    ]
    data = bytearray(write_tiff(pages))
    ends = [len(write_tiff(pages[:count])) - 4 for count in (1, 2)]
    links = [struct.unpack_from("<I", data, end)[0] for end in ends]
    named = links if nested else links[:1]
    at = 0
    for target in [*named, *links[:1] * circle]:
        at = data.index(struct.pack("<HHI", 330, 4, 1), at) + 8
        struct.pack_into("<I", data, at, target)
    for end in ends if nested else ends[:1]:
        struct.pack_into("<I", data, end, 0)
    return bytes(data)


@pytest.mark.parametrize(("order", "big"), WRITERS)
@pytest.mark.parametrize("tag", [256, 257, 258, 273])
def test_a_tag_that_stands_twice_is_rejected(order: Literal["<", ">"], big: bool, tag: int) -> None:
    data = write_tiff([Page(FULL, extra=((tag, 8),))], order=order, big=big)
    with pytest.raises(CorruptChipError, match=f"tag {tag} twice"):
        decode_chip(data, gsd_m=1.0)


@pytest.mark.parametrize(("order", "big"), WRITERS)
@pytest.mark.parametrize("first", [True, False])
def test_a_mask_says_where_the_picture_has_data(
    order: Literal["<", ">"], big: bool, first: bool
) -> None:
    mask = np.full(FULL.shape, 255, np.uint8)
    mask[:6] = 0
    pages = [Page(mask, subfile=4), Page(FULL)] if first else [Page(FULL), Page(mask, subfile=4)]
    chip = decode_chip(write_tiff(pages, order=order, big=big), gsd_m=1.0)
    assert np.all(chip.pixels[:6] == 0)
    np.testing.assert_array_equal(chip.pixels[6:], FULL[6:])
    assert any("10.0% of the pixels are no-data" in warning for warning in chip.warnings)


def test_a_mask_of_another_size_is_rejected() -> None:
    data = write_tiff([Page(FULL), Page(np.ones((30, 10), np.uint8), subfile=4)])
    with pytest.raises(CorruptChipError, match="0 of them as large as its picture"):
        decode_chip(data, gsd_m=1.0)


def test_two_masks_of_one_picture_are_rejected() -> None:
    mask = np.full(FULL.shape, 255, np.uint8)
    data = write_tiff([Page(FULL), Page(mask, subfile=4), Page(mask, subfile=4)])
    with pytest.raises(CorruptChipError, match="2 mask"):
        decode_chip(data, gsd_m=1.0)


@pytest.mark.parametrize(("order", "big"), WRITERS)
def test_signed_numbers_in_a_directory_are_read_as_what_they_are(
    order: Literal["<", ">"], big: bool
) -> None:
    data = bytearray(write_tiff([Page(FULL)], order=order, big=big))
    long, signed, word = (16, 17, "Q") if big else (4, 9, "I")
    for tag in (256, 257):
        at = data.index(struct.pack(order + "HH" + word, tag, long, 1))
        struct.pack_into(order + "H", data, at + 2, signed)
    assert (read_full_page(bytes(data))[0].width, read_full_page(bytes(data))[0].height) == (20, 60)
    struct.pack_into(order + word.lower(), data, at + 4 + struct.calcsize(order + word), -60)
    with pytest.raises(CorruptChipError, match="negative"):
        decode_chip(bytes(data), gsd_m=1.0)


def test_several_full_pages_are_rejected() -> None:
    with pytest.raises(UnsupportedFormatError, match="2 pages"):
        decode_chip(write_tiff([Page(FULL), Page(FULL)]), gsd_m=1.0)


@pytest.mark.parametrize("tag", [273, 324, 33922])
def test_a_tag_with_more_values_than_make_sense_is_rejected(tag: int) -> None:
    entries = [(256, 4, 1, 20), (257, 4, 1, 60), (tag, 4, 10 * MAX_SEGMENTS, 8)]
    with pytest.raises(CorruptChipError, match=f"has {10 * MAX_SEGMENTS}"):
        decode_chip(raw_tiff([entries]), gsd_m=1.0)


def test_what_gdal_opens_is_compared_with_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_tiff([Page(THUMBNAIL, subfile=1), Page(FULL)])
    wrong = read_full_page(write_tiff([Page(FULL)]))
    monkeypatch.setattr(tiff, "read_full_page", lambda _: wrong)
    with pytest.raises(CorruptChipError, match="contradicts itself"):
        decode_chip(data, gsd_m=1.0)


def test_a_compression_that_is_not_read_is_named_beside_those_that_are() -> None:
    data = bytearray(tiff_bytes(FULL))
    at = data.index(struct.pack("<HHI", 259, 3, 1)) + 8
    struct.pack_into("<H", data, at, 34712)
    with pytest.raises(UnsupportedFormatError, match="code 34712") as rejected:
        decode_chip(bytes(data), gsd_m=1.0)
    assert "use none, LZW, JPEG, Deflate, PackBits, LERC, LZMA, ZSTD, WebP" in str(rejected.value)


@pytest.mark.parametrize(
    "compress", ["lzw", "packbits", "deflate", "zstd", "lzma", "lerc", "lerc_zstd"]
)
def test_each_advertised_compression_is_read(compress: str) -> None:
    chip = decode_chip(tiff_bytes(FULL, compress=compress), gsd_m=1.0)
    np.testing.assert_allclose(chip.pixels, FULL)


@pytest.mark.parametrize("compress", ["lerc", "lerc_deflate", "lerc_zstd"])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_lerc_floats_in_big_endian_order_are_refused(compress: str, kind: str) -> None:
    data = tiff_bytes(FULL.astype(kind), compress=compress, endianness="BIG")
    with pytest.raises(UnsupportedFormatError, match="little-endian byte order, or with Deflate"):
        decode_chip(data, gsd_m=1.0)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
def test_lerc_integers_in_big_endian_order_are_read(kind: str) -> None:
    samples = FULL.astype(kind)
    chip = decode_chip(
        tiff_bytes(samples, compress="lerc", endianness="BIG"), gsd_m=1.0, modality=Modality.SAR
    )
    np.testing.assert_array_equal(chip.pixels, samples)


@pytest.mark.parametrize(("order", "big"), WRITERS)
@pytest.mark.parametrize("between", [b"", bytes(3)])
def test_a_second_tiff_after_the_first_is_refused(
    order: Literal["<", ">"], big: bool, between: bytes
) -> None:
    first, second = tiff_bytes(FULL), write_tiff([Page(THUMBNAIL)], order=order, big=big)
    for data in (first + between + second, second + between + second):
        with pytest.raises(UnsupportedFormatError, match="a second TIFF begins at byte"):
            decode_chip(data, gsd_m=1.0)


@pytest.mark.parametrize("tail", [bytes(99), b"II*\0", b"MM\0*" + b"\xff" * 40, b"II*\0" * 9999])
def test_bytes_after_a_tiff_that_are_no_tiff_do_no_harm(tail: bytes) -> None:
    data = tiff_bytes(FULL) + tail
    np.testing.assert_array_equal(decode_chip(data, gsd_m=1.0).pixels, FULL)


@pytest.mark.parametrize("compress", ["jpeg", "webp"])
@pytest.mark.parametrize("tiling", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_each_advertised_lossy_compression_is_read(compress: str, tiling: dict[str, Any]) -> None:
    picture = np.repeat(np.repeat(rgb_planes(12, 6), 16, axis=1), 16, axis=2)
    data = tiff_bytes(picture, compress=compress, photometric="rgb", interleave="pixel", **tiling)
    assert len(data) < picture.size
    chip = decode_chip(data, gsd_m=1.0)
    assert chip.modality is Modality.OPTICAL
    difference = np.abs(chip.pixels.astype(int) - picture.transpose(1, 2, 0))
    assert difference.mean() < 5


def test_one_band_of_many_is_decoded_alone() -> None:
    """Reading all of them would take thirty times as long, and thirty times the memory."""
    stack = np.stack([FULL + np.float32(band) for band in range(30)])
    data = tiff_bytes(stack, interleave="band")
    began = time.perf_counter()
    chip = decode_chip(data, modality=Modality.SAR, gsd_m=1.0, band=7)
    assert time.perf_counter() - began < 5
    np.testing.assert_array_equal(chip.pixels, stack[6])


def test_a_file_of_nothing_but_overviews_is_named() -> None:
    with pytest.raises(CorruptChipError, match="every page as an overview"):
        decode_chip(write_tiff([Page(FULL, subfile=1)]), gsd_m=1.0)


def test_a_file_that_lists_fewer_strips_than_it_needs_is_rejected() -> None:
    """Readers fill what is not listed with 0 in silence."""
    data = write_tiff([Page(FULL)]).replace(
        struct.pack("<HHII", 278, 4, 1, 60), struct.pack("<HHII", 278, 4, 1, 7)
    )
    with pytest.raises(CorruptChipError, match="each of the 9 strips"):
        decode_chip(data, gsd_m=1.0)


def test_strips_that_were_left_out_are_named() -> None:
    planes = np.tile(sar_plane(), (4, 4))
    planes[:64] = 0
    data = tiff_bytes(planes, tiled=True, blockxsize=16, blockysize=64, sparse_ok="true")
    chip = decode_chip(data, gsd_m=1.0)
    np.testing.assert_array_equal(chip.pixels, planes)
    assert chip.warnings == ("5 of 20 strips or tiles are absent from the TIFF",)
