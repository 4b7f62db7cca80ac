"""Read CSV tables; every error names the file and the line."""

import codecs
import csv
import io
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.vessels import VESSEL_NUMBERS, VESSEL_TEXTS

_WITH_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(rf'"?sep=([{_SEPARATORS}])"?(?=[\r\n])', re.IGNORECASE)
"""What spreadsheets write before the header, to say what separates the cells."""
_TEXT_OF_A_SPREADSHEET = re.compile(r"""="([^"]*)"|'([=+@-].*)""", re.DOTALL)
"""What marks a cell as text that is no number and no formula: `="007"`, `'=A1`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its non-empty cells by column.

    Attributes:
        location: file and line number, for messages.
        cells: trimmed, in Unicode NFC; empty cells are left out.
        decimal_comma: whether numbers are written as `190,5`.
    """

    location: str
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def number(self, column: str) -> float | None:
        """Parse a cell, None when it is empty; raise SourceError if it is not a number."""
        text = self.cells.get(column)
        if text is None:
            return None
        if self.decimal_comma and "." in text:
            raise SourceError(
                f"{self.location}: {column} is {text!r}, but other numbers of this table have a "
                "decimal comma; write all of them in one way"
            )
        number = math.nan
        if (
            text.isascii() and "_" not in text
        ):  # Python reads 1_90 as 190, and digits of all scripts
            with suppress(ValueError):
                number = float(text.replace(",", ".") if self.decimal_comma else text)
        if not math.isfinite(number):
            raise SourceError(
                f"{self.location}: {column} is {self.cells[column]!r}, not a number; leave the "
                "cell empty when it is unknown"
            )
        return number

    def required(self, column: str) -> str:
        """Return the cell of a column; raise SourceError when it is empty."""
        if column not in self.cells:
            raise SourceError(f"{self.location}: the column {column} is empty")
        return self.cells[column]

    def fields(self, texts: Iterable[str], numbers: Iterable[str]) -> dict[str, object]:
        """Return the cells of these columns that are not empty, as texts and as numbers.

        Raises:
            SourceError: a cell of `numbers` is not a number.
        """
        found: dict[str, object] = {name: self.cells[name] for name in texts if name in self.cells}
        return found | {name: self.number(name) for name in numbers if name in self.cells}


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: its columns, and its rows that are not empty."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def unknown_columns(self, known: Collection[str]) -> list[str]:
        """Return the columns that are not among the known ones."""
        return [column for column in self.columns if column not in known]


def read_table(path: Path) -> Table:
    """Read a CSV file with a header line; commas, semicolons, tabs or bars separate the cells.

    The desk reads tables by the same rules (`service/desk/files/tables.js`).

    Args:
        path: the file, in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        SourceError: the file is unreadable or has no header, a column stands twice, a row is longer
            than the header, or a cell holds control characters.
    """
    try:
        data = path.read_bytes()
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if wide else "utf-8-sig")
        separator, text = _separated(text)
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
        )
        header: list[str] = next((cells for cells in reader if any(map(str.strip, cells))), [])
        columns = tuple(_cell(cell, f"{path}:{reader.line_num}").lower() for cell in header)
        if not columns:
            raise SourceError(f"{path} has no header line")
        rows = []
        for values in reader:
            location = f"{path}:{reader.line_num}"
            if cells := _cells(columns, [_cell(value, location) for value in values], location):
                rows.append(Row(location, cells))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read as CSV in UTF-8: {error}; save it as CSV UTF-8"
        ) from error
    except csv.Error as error:
        raise SourceError(
            f"{path}:{reader.line_num}: {error}; close each quote, and double quotes inside a cell"
        ) from error
    if repeated := [name for name, times in Counter(columns).items() if name and times > 1]:
        raise SourceError(f"{path}: the column {repeated[0]!r} stands twice; keep one of them")
    if separator != "," and any(_WITH_COMMA.fullmatch(c) for r in rows for c in r.cells.values()):
        rows = [replace(row, decimal_comma=True) for row in rows]
    return Table(tuple(filter(None, columns)), tuple(rows))


def _cells(columns: Sequence[str], values: Sequence[str], location: str) -> dict[str, str]:
    """Return the cells of a row that are not empty, by column."""
    named = [*columns, *[""] * (len(values) - len(columns))]
    found = {column: value for column, value in zip(named, values, strict=False) if value}
    if "" in found:
        raise SourceError(
            f"{location}: the cell {found['']!r} stands under no column; the columns are "
            f"{', '.join(filter(None, columns))}"
        )
    return found


def read_chip_table(path: Path, columns: Collection[str]) -> Table:
    """Read a CSV table of chips, which has a column `chip` and none but these columns.

    Raises:
        SourceError: see `read_table`, or the columns are others.
    """
    table = read_table(path)
    if "chip" not in table.columns:
        raise SourceError(
            f"{path} has no column chip; its first line names {', '.join(table.columns)[:80]!r}, "
            f"known columns are {', '.join(columns)}"
        )
    if unknown := table.unknown_columns(columns):
        raise SourceError(f"{path}: unknown column {unknown[0]!r}; known are {', '.join(columns)}")
    return table


def chip_fields(row: Row, texts: Iterable[str], numbers: Iterable[str]) -> dict[str, object]:
    """Return what a row says of its chip: the cells of these columns, and the band.

    Raises:
        SourceError: a number is malformed.
    """
    fields = row.fields(texts, numbers)
    if (band := row.number("band")) is not None:
        if not band.is_integer():
            raise SourceError(f"{row.location}: band is {band:g}; bands count 1, 2, 3 and so on")
        fields["band"] = int(band)
    return fields


def _separated(text: str) -> tuple[str, str]:
    """Return what separates the cells, and the text without a line that says so.

    Without such a line it is a comma, unless the header has none but another one.
    """
    if stated := _SEPARATOR_LINE.match(text):
        return stated[1], text[stated.end() :]  # the end of the line stays, to be counted
    header = next((line for line in text.splitlines() if line.strip()), "")
    return (max(_SEPARATORS, key=header.count) if "," not in header else ","), text


def _cell(text: str, location: str) -> str:
    """Trim a cell, compose its characters, and take off what marks it as text.

    So equal texts compare as equal, and the CSV that the service exports can be read again.
    """
    if not "".join(text.split()).isprintable():
        raise SourceError(
            f"{location}: {text[:40]!r} holds control characters; remove them, and save the table "
            "as CSV UTF-8"
        )
    plain = unicodedata.normalize("NFC", text.strip())
    marked = _TEXT_OF_A_SPREADSHEET.fullmatch(plain)
    return plain if marked is None else marked[1] or marked[2] or ""


def vessel_attributes(row: Row) -> dict[str, object]:
    """Return the vessel's attributes in a row, as fields of `vessel` in `POST /gallery`.

    Raises:
        SourceError: length or beam is not a number.
    """
    return row.fields(VESSEL_TEXTS, VESSEL_NUMBERS)
