"""Read CSV tables; every error names the file and the line."""

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.vessels import VESSEL_NUMBERS, VESSEL_TEXTS


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its non-empty cells by column.

    Attributes:
        location: file and line number, for messages.
        cells: trimmed; empty cells are left out.
    """

    location: str
    cells: Mapping[str, str]

    def number(self, column: str) -> float | None:
        """Parse a cell as a number, None when it is empty.

        Raises:
            SourceError: the cell is not a number.
        """
        text = self.cells.get(column)
        if text is None:
            return None
        try:
            return float(text)
        except ValueError as error:
            raise SourceError(f"{self.location}: {column} is {text!r}, not a number") from error

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
    """Read a CSV file in UTF-8 with a header line.

    Raises:
        SourceError: the file is unreadable or has no header, or a row is longer than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = tuple(cell.strip() for cell in next(reader, []))
            rows = []
            for values in reader:
                location = f"{path}:{reader.line_num}"
                if len(values) > len(columns):
                    raise SourceError(
                        f"{location}: {len(values)} cells under {len(columns)} columns"
                    )
                pairs = zip(columns, (value.strip() for value in values), strict=False)
                if cells := {column: value for column, value in pairs if value}:
                    rows.append(Row(location, cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if not any(columns):
        raise SourceError(f"{path} has no header line")
    return Table(columns, tuple(rows))


def vessel_attributes(row: Row) -> dict[str, object]:
    """Return the vessel's attributes in a row, as fields of `vessel` in `POST /gallery`.

    Raises:
        SourceError: length or beam is not a number.
    """
    return row.fields(VESSEL_TEXTS, VESSEL_NUMBERS)
