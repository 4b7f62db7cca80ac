"""Read the chips to match from files, folders and CSV tables: one row for each chip.

    chip,modality,gsd_m,band,framing,captured_at,lat,lon,sensor,case,note

Every row needs `chip`, a path relative to the table's folder.
"""

from collections.abc import Iterable
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.csv_table import chip_fields, read_chip_table
from service.client.match import QueryChip, expand_folders

TEXTS = ("modality", "framing", "captured_at", "sensor", "case", "note")
NUMBERS = ("gsd_m", "lat", "lon")
COLUMNS = ("chip", *TEXTS, *NUMBERS, "band")


def read_queries(sources: Iterable[Path]) -> list[QueryChip]:
    """Replace each folder by its chips and each CSV table by its rows.

    Raises:
        SourceError: a source does not exist or holds no chips, or a table cannot be used.
    """
    chips: list[QueryChip] = []
    for source in sources:
        if source.suffix.lower() == ".csv" and source.is_file():
            chips += read_query_table(source)
        else:
            chips += [QueryChip(path) for path in expand_folders([source])]
    return chips


def read_query_table(path: Path) -> list[QueryChip]:
    """Read a CSV table; raise SourceError, which names the line, if it is malformed."""
    table = read_chip_table(path, COLUMNS)
    if not table.rows:
        raise SourceError(f"{path} lists no chips to match")
    return [
        QueryChip(path.parent / row.required("chip"), chip_fields(row, TEXTS, NUMBERS))
        for row in table.rows
    ]
