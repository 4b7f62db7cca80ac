"""Draw a picture of many answers: each query beside its candidate vessels."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from service.client.files import written_whole

Tone = Literal["good", "unsure", "bad"]
Colour = tuple[int, int, int]

CELL_W, CELL_H = 190, 70
GAP, MARGIN = 14, 28  # pixels, as all sizes here
QUERY_W, CAPTION_W = 190, 250
TEXT_H, ROW_PAD = 36, 16
HEADER_H = 118
FRAME = 4
LONGEST_TEXT = 1000

PAPER: Colour = (250, 250, 248)
INK: Colour = (28, 32, 36)
FAINT: Colour = (120, 126, 132)
RULE: Colour = (222, 224, 224)
TILE: Colour = (16, 20, 26)
TRUE: Colour = (34, 160, 90)
TONES: dict[Tone, Colour] = {"good": (24, 128, 72), "unsure": (176, 112, 0), "bad": (190, 40, 40)}


@dataclass(frozen=True, slots=True)
class Tile:
    """A chip's picture, PNG, above two lines of text; in a green frame when `is_true`."""

    picture: bytes
    title: str
    detail: str
    is_true: bool = False


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One query with its verdict, the comparison with the truth, and candidates, best first."""

    query: Tile
    verdict: str
    none: str
    outcome: str
    tone: Tone
    candidates: Sequence[Tile]


def draw_sheet(title: str, subtitle: str, rows: Sequence[SheetRow], columns: int) -> Image.Image:
    """Draw an RGB picture with one row for each query; tall chips are turned on their side."""
    row_h = CELL_H + TEXT_H + ROW_PAD
    width = 2 * MARGIN + QUERY_W + CAPTION_W + columns * (CELL_W + GAP) - GAP
    sheet = Image.new("RGB", (width, HEADER_H + len(rows) * row_h + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 22), title, INK, _font(24))
    for number, line in enumerate(_wrap(draw, subtitle, 14, width - 2 * MARGIN)[:2]):
        draw.text((MARGIN, 58 + 19 * number), line, FAINT, _font(14))
    for number, row in enumerate(rows):
        top = HEADER_H + number * row_h
        draw.line((MARGIN, top - ROW_PAD // 2, width - MARGIN - 1, top - ROW_PAD // 2), RULE)
        _draw_row(sheet, draw, row, top)
    return sheet


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as PNG and create its folder; raise SourceError if that fails."""
    with written_whole(path) as temporary:
        sheet.save(temporary, "PNG")


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, top: int) -> None:
    _draw_tile(sheet, draw, row.query, MARGIN, top, QUERY_W)
    left = MARGIN + QUERY_W + GAP
    draw.text((left, top + 6), _clip(draw, row.verdict, 18, CAPTION_W - 2 * GAP), INK, _font(18))
    for number, line in enumerate(_wrap(draw, row.outcome, 14, CAPTION_W - 2 * GAP)[:3]):
        draw.text((left, top + 34 + 19 * number), line, TONES[row.tone], _font(14))
    none = _clip(draw, row.none, 14, CAPTION_W - 2 * GAP)
    draw.text((left, top + 34 + 19 * 3), none, FAINT, _font(14))
    for number, tile in enumerate(row.candidates):
        x = MARGIN + QUERY_W + CAPTION_W + number * (CELL_W + GAP)
        _draw_tile(sheet, draw, tile, x, top, CELL_W)


def _draw_tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int, width: int
) -> None:
    draw.rectangle((x, y, x + width - 1, y + CELL_H - 1), TILE)
    picture = _fit(tile.picture, width - 2 * FRAME, CELL_H - 2 * FRAME)
    sheet.paste(picture, (x + (width - picture.width) // 2, y + (CELL_H - picture.height) // 2))
    if tile.is_true:
        draw.rectangle((x, y, x + width - 1, y + CELL_H - 1), outline=TRUE, width=FRAME)
    colour = TRUE if tile.is_true else INK
    draw.text((x, y + CELL_H + 3), _clip(draw, tile.title, 13, width), colour, _font(13))
    draw.text((x, y + CELL_H + 19), _clip(draw, tile.detail, 12, width), FAINT, _font(12))


def _fit(png: bytes, width: int, height: int) -> Image.Image:
    """Decode a picture, turn a tall one by 270 degrees, and resize it to fit the cell."""
    picture: Image.Image = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.height > picture.width:
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    scale = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _clip(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> str:
    """Shorten a text to a width in pixels; a shortened text ends with three dots."""
    text = text[:LONGEST_TEXT]
    if draw.textlength(text, _font(size)) <= width:
        return text
    fitting = bisect_right(
        range(len(text)), width, key=lambda n: ceil(draw.textlength(text[:n] + "...", _font(size)))
    )
    return text[: max(0, fitting - 1)].rstrip() + "..."


def _wrap(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> list[str]:
    """Break a text at spaces into lines of at most a width in pixels."""
    lines = [""]
    for word in text[:LONGEST_TEXT].split():
        word = _clip(draw, word, size, width)
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, _font(size)) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line]
