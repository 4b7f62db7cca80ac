"""Reading CSV tables whose every complaint names the file and the line."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.vessels import VESSEL_NUMBERS, VESSEL_TEXTS


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its non-empty cells by column.

    Attributes:
        place: file and line number, for messages.
        cells: trimmed; empty cells are left out.
    """

    place: str
    cells: Mapping[str, str]

    def number(self, column: str) -> float | None:
        """A cell as a number, None when it is empty.

        Raises:
            SourceError: it is not a number.
        """
        text = self.cells.get(column)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError as error:
            raise SourceError(f"{self.place}: {column} is {text!r}, not a number") from error


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: its columns, and its rows that are not empty."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def strangers(self, known: Collection[str]) -> list[str]:
        """Columns that nobody reads."""
        return [column for column in self.columns if column not in known]


def read_table(path: Path) -> Table:
    """Read a CSV file in UTF-8 with a header line.

    Raises:
        SourceError: unreadable, without a header, or a row is longer than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = tuple(cell.strip() for cell in next(reader, []))
            lines = []
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if len(row) > len(columns):
                    raise SourceError(f"{place}: {len(row)} cells under {len(columns)} columns")
                filled = zip(columns, (cell.strip() for cell in row), strict=False)
                if cells := {column: cell for column, cell in filled if cell}:
                    lines.append(Line(place, cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if not any(columns):
        raise SourceError(f"{path} has no header line")
    return Table(columns, tuple(lines))


def vessel_attributes(line: Line) -> dict[str, object]:
    """The vessel's attributes that a row tells, as `POST /gallery` takes them.

    Raises:
        SourceError: length or beam is not a number.
    """
    texts = {name: line.cells[name] for name in VESSEL_TEXTS if name in line.cells}
    numbers = {name: line.number(name) for name in VESSEL_NUMBERS}
    return {**texts, **{name: value for name, value in numbers.items() if value is not None}}
