from pathlib import Path

import pytest

from service.client.errors import SourceError
from service.client.match import QueryChip
from service.client.query_table import read_queries


def table(folder: Path, text: str) -> Path:
    path = folder / "chips.csv"
    path.write_text(text)
    return path


def test_a_row_gives_the_fields_of_its_chip(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "chip,modality,gsd_m,band,captured_at,lat,lon,case\n"
        "a.tif,sar,1.5,2,2026-03-05T17:20:00Z,1.2,103.9,C 7\nb.tif,,,,,,,\n",
    )
    first, second = read_queries([path])
    assert first == QueryChip(
        tmp_path / "a.tif",
        {
            "modality": "sar",
            "captured_at": "2026-03-05T17:20:00Z",
            "case": "C 7",
            "gsd_m": 1.5,
            "lat": 1.2,
            "lon": 103.9,
            "band": 2,
        },
    )
    assert second == QueryChip(tmp_path / "b.tif", {})


def test_a_rows_fields_count_more_than_options_and_file_names(tmp_path: Path) -> None:
    (tmp_path / "0001_x_SAR.tif").write_bytes(b"x")
    chip = QueryChip(tmp_path / "0001_x_SAR.tif", {"gsd_m": 2.0})
    assert chip.read({"gsd_m": 1.0, "top_k": 3}).metadata == {
        "modality": "sar",
        "gsd_m": 2.0,
        "top_k": 3,
    }
    assert chip.read({"modality": "optical"}).metadata["modality"] == "optical"


def test_files_folders_and_tables_may_be_mixed(tmp_path: Path) -> None:
    folder = tmp_path / "chips"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"x")
    path = table(tmp_path, "chip\nchips/a.png\n")
    found = [chip.path for chip in read_queries([folder, path, folder / "a.png"])]
    assert found == [folder / "a.png"] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.tif\n", "has no column chip"),
        ("chip,nmae\na.tif,x\n", "unknown column 'nmae'"),
        ("chip,lat\n,1\n", "chips.csv:2: the column chip is empty"),
        ("chip,lat\na.tif,north\n", "lat is 'north', not a number"),
        ("chip,band\na.tif,1.5\n", "bands count 1, 2, 3"),
        ("chip\n", "lists no chips"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_queries([table(tmp_path, text)])
