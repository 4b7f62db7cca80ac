"""File names of HOSS ReID are parsed, and other names rejected."""

import pytest

from service.contract.chip import Modality
from service.contract.hoss_names import HossName, read_hoss_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0001_s05c1_RGB.tif", HossName(1, Modality.OPTICAL)),
        ("0001_c1s5_000151_00_SAR.tif", HossName(1, Modality.SAR)),
        ("-1_s02c3_SAR.tif", HossName(-1, Modality.SAR)),
        ("0449_RGB.TIFF", HossName(449, Modality.OPTICAL)),
        ("12_anything_SAR.png", HossName(12, Modality.SAR)),
        ("7_x_RGB.jpeg", HossName(7, Modality.OPTICAL)),
    ],
)
def test_names_of_both_conventions_are_parsed(name: str, expected: HossName) -> None:
    assert read_hoss_name(name) == expected


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


def test_only_minus_one_is_a_distractor() -> None:
    names = [read_hoss_name(f"{number}_s1c1_RGB.tif") for number in (-1, 1)]
    assert [name.is_distractor for name in names if name] == [True, False]
