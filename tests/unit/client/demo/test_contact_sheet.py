import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.client.demo import contact_sheet as sheets
from service.client.demo.contact_sheet import SheetRow, Tile, draw_sheet, write_sheet
from service.client.errors import SourceError


def png(height: int, width: int, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def row(true_place: int | None, candidates: int = 3) -> SheetRow:
    tiles = [
        Tile(png(180, 30), f"{i + 1}. SHIP", "90.0%", is_true=i == true_place)
        for i in range(candidates)
    ]
    return SheetRow(
        Tile(png(9, 8), "query", "SAR"), "Confident", "None of them: 5.0%", "right", "good", tiles
    )


def green_columns(sheet: Image.Image, top: int) -> set[int]:
    """Columns along the upper edge of a row's tiles that are green."""
    line = np.asarray(sheet)[top]
    return set(np.flatnonzero((line == sheets.TRUE).all(axis=1)).tolist())


def test_the_frame_stands_around_the_true_vessel_only() -> None:
    sheet = draw_sheet("Title", "Subtitle", [row(1), row(None)], columns=3)
    first = sheets.MARGIN + sheets.QUERY_W + sheets.CAPTION_W
    left = first + sheets.CELL_W + sheets.GAP
    assert green_columns(sheet, sheets.HEADER_H) == set(range(left, left + sheets.CELL_W))
    second = sheets.HEADER_H + sheets.CELL_H + sheets.TEXT_H + sheets.ROW_PAD
    assert green_columns(sheet, second) == set()


def test_every_chip_is_visible_inside_its_cell() -> None:
    sheet = np.asarray(draw_sheet("T", "S", [row(None)], columns=3))
    red = (sheet == (200, 30, 30)).all(axis=2)
    rows = np.flatnonzero(red.any(axis=1))
    top, bottom = sheets.HEADER_H, sheets.HEADER_H + sheets.CELL_H
    assert top + sheets.FRAME <= rows.min() <= rows.max() < bottom - sheets.FRAME
    lefts = [sheets.MARGIN]
    lefts += [
        sheets.MARGIN + sheets.QUERY_W + sheets.CAPTION_W + i * (sheets.CELL_W + sheets.GAP)
        for i in range(3)
    ]
    for left in lefts:
        assert red[:, left : left + sheets.CELL_W].any()
    outside = red.copy()
    for left in lefts:
        outside[:, left : left + sheets.CELL_W] = False
    assert not outside.any()


def test_long_texts_stay_in_the_picture() -> None:
    tile = Tile(png(20, 10), "N" * 500, "D" * 500)
    row_of_long_texts = SheetRow(tile, "V" * 99, "N" * 99, "word " * 99, "bad", [tile])
    sheet = draw_sheet("T", "S" * 5000, [row_of_long_texts], 1)
    edge = np.asarray(sheet)[:, -sheets.MARGIN :]
    assert (edge == sheets.PAPER).all()


def test_a_sheet_may_lack_candidates_and_rows() -> None:
    assert draw_sheet("T", "S", [row(None, candidates=0)], columns=5).width > 1000
    assert draw_sheet("T", "S", [], columns=5).height == sheets.HEADER_H + sheets.MARGIN


def test_a_sheet_is_written_into_a_new_folder(tmp_path: Path) -> None:
    sheet = draw_sheet("T", "S", [row(0)], columns=3)
    path = tmp_path / "deep" / "sheet.png"
    write_sheet(sheet, path)
    with Image.open(path) as read:
        assert read.size == sheet.size
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be written"):
        write_sheet(sheet, tmp_path / "file" / "sheet.png")
