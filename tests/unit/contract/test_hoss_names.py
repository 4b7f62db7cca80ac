"""File names of HOSS ReID are parsed, and other names rejected."""

import pytest

from service.contract.chip import Modality
from service.contract.hoss_names import (
    HossName,
    HossNameError,
    read_hoss_name,
    require_hoss_name,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0001_s05c1_RGB.tif", HossName(1, Modality.OPTICAL, 5, 1)),
        ("0001_c1s5_000151_00_SAR.tif", HossName(1, Modality.SAR, 5, 1)),
        ("-1_s02c3_SAR.tif", HossName(-1, Modality.SAR, 2, 3)),
        ("0449_RGB.TIFF", HossName(449, Modality.OPTICAL)),
        ("12_anything_SAR.png", HossName(12, Modality.SAR)),
        ("7_x_RGB.jpeg", HossName(7, Modality.OPTICAL)),
    ],
)
def test_names_of_both_conventions_are_parsed(name: str, expected: HossName) -> None:
    assert read_hoss_name(name) == expected
    assert require_hoss_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0001_s05c1_sar.tif",
        "abc_s1c1_RGB.tif",
        "-2_s1c1_RGB.tif",
        "0001_RGB.tif.part",
        "1RGB.tif",
        "0001_s1c1_RGB.gif",
        "٠١_s1c1_RGB.tif",
        "folder/0001_s1c1_RGB.tif",
    ],
)
def test_other_names_are_rejected(name: str) -> None:
    assert read_hoss_name(name) is None
    with pytest.raises(HossNameError, match=r"expected <id>_<anything>_RGB\.tif"):
        require_hoss_name(name)


def test_the_error_names_the_file() -> None:
    with pytest.raises(HossNameError, match=r"^holiday\.png is not named"):
        require_hoss_name("holiday.png")


def test_only_minus_one_is_a_distractor() -> None:
    assert require_hoss_name("-1_s1c1_RGB.tif").is_distractor
    assert not require_hoss_name("1_s1c1_RGB.tif").is_distractor
