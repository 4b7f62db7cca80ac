"""File names of HOSS ReID are parsed, and other names rejected."""

from pathlib import Path

import pytest

from service.contract.chip import Modality
from service.contract.hoss_names import HossName, ProvenanceError, read_hoss_name, stated_gsd


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


@pytest.mark.parametrize(
    "table",
    [
        "file,gsd_m\na.tif,0.5\nb.tif,2\n",
        "\ufefffile,gsd_m\r\na.tif,0.5\r\nb.tif,2\r\n",
        "\ufefffile;gsd_m\na.tif;0,5\nb.tif;2\n",
        "id\tGSD_m\tFile\n1\t0.5\ta.tif\n\n2\t2.0\tb.tif\n",
        "file, gsd_m\nquery/a.tif, 0.5\nquery\\b.tif, 2\nb.tif, 2\n",
    ],
)
def test_pixel_sizes_are_read_as_spreadsheets_save_them(tmp_path: Path, table: str) -> None:
    (tmp_path / "provenance.csv").write_text(table, encoding="utf-8")
    assert stated_gsd(tmp_path) == {"a.tif": 0.5, "b.tif": 2.0}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"file,gsd_m\na.tif,0\n", "2: gsd_m is '0'"),
        (b"file,gsd_m\na.tif,1_5\n", "2: gsd_m is '1_5'"),
        (b"file,gsd_m\na.tif,inf\n", "2: gsd_m is 'inf'"),
        (b"file,gsd_m\na.tif\n", "2: gsd_m is None"),
        (b"file,gsd_m\na.tif,1\nq/a.tif,2\n", "3: .* another value than in an earlier line"),
        (b"file,gsd_m\n\xe4.tif,1\n", "save it as CSV UTF-8"),
        ("file,gsd_m\na.tif,1\n".encode("utf-16"), "save it as CSV UTF-8"),
        (b'file,gsd_m\n"a.tif,1\n', "save it as CSV UTF-8"),
    ],
)
def test_a_table_of_pixel_sizes_that_cannot_be_used_is_named(
    tmp_path: Path, table: bytes, message: str
) -> None:
    (tmp_path / "provenance.csv").write_bytes(table)
    with pytest.raises(ProvenanceError, match=message):
        stated_gsd(tmp_path)


@pytest.mark.parametrize("table", ["", "file,licence\na.tif,CC0\n"])
def test_a_table_of_other_facts_states_no_pixel_sizes(tmp_path: Path, table: str) -> None:
    (tmp_path / "provenance.csv").write_text(table)
    assert stated_gsd(tmp_path) == {}
