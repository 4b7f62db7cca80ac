"""CSV (RFC 4180) that a spreadsheet shows as text and never runs as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

Cell = str | float | int | None

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows as lines that end with CR LF; None becomes an empty cell."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([defuse(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def defuse(cell: Cell) -> Cell:
    """Put an apostrophe before a text that a spreadsheet would take for a formula.

    Such a text begins, after spaces, with one of the characters that OWASP lists under "CSV
    Injection". Numbers are not changed: `-12.5` is a latitude.
    """
    if isinstance(cell, str) and cell.lstrip(" \u00a0").startswith(_FORMULA_STARTS):
        return f"'{cell}"
    return cell
