import csv
import io

import pytest

from service.api.exports.csv_text import csv_lines, defuse


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "  =1", "＝1", "\xa0=1"]
)
def test_formulas_become_text(text: str) -> None:
    assert defuse(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["EXAMPLE STAR", "a=b", "", None, -12.5, 3])
def test_other_cells_are_not_changed(cell: str | float | None) -> None:
    assert defuse(cell) == cell


def test_lines_can_be_read_back() -> None:
    text = csv_lines([("name", "lat"), ('COMMA, "QUOTE"', -12.5), ("ÄÖ", None)])
    assert text.count("\r\n") == 3
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["name", "lat"],
        ['COMMA, "QUOTE"', "-12.5"],
        ["ÄÖ", ""],
    ]
