"""Draw solids into height and material maps.

Map convention: float32/uint8 arrays ``[rows, columns]``; row r covers x (stern to bow)
``r * cell .. (r + 1) * cell``, column c covers y from port to starboard, the middle of the
map being the centre line. Heights are metres above the main deck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_training.simulator.ships.blueprint import Part
from model_training.simulator.ships.materials import FloatArray

ByteArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

# How densely beams are drawn, in cells; chosen so that no gaps show at any angle.
_BEAM_POINTS_PER_CELL = 1.5  # along the beam
_LINE_PITCH = 0.7  # between the lines of points that make up its width
_THIN_BEAM_HALF = 0.4  # a beam of a smaller half width is one line
_LEAST_LENGTH = 1e-6  # avoids a division by 0


@dataclass(frozen=True, slots=True)
class Maps:
    """Ship as seen from above, on a grid of square cells."""

    cell_m: float
    height: FloatArray
    """Metres above the main deck, ``[rows, columns]``."""
    material: ByteArray
    """`Material` of each cell, ``[rows, columns]``."""

    def copy(self) -> Maps:
        """Return maps that may be drawn on without changing these."""
        return Maps(self.cell_m, self.height.copy(), self.material.copy())


@lru_cache(maxsize=512)
def _disc(rows: int, columns: int) -> tuple[BoolArray, FloatArray]:
    """Return the ellipse that fills ``[rows, columns]``, and the relative height of its dome."""
    r = (np.arange(rows, dtype=np.float32) + 0.5) / rows * 2 - 1
    c = (np.arange(columns, dtype=np.float32) + 0.5) / columns * 2 - 1
    radius2 = r[:, None] ** 2 + c[None, :] ** 2
    return radius2 <= 1.0, np.sqrt(np.maximum(1.0 - radius2, 0.0)).astype(np.float32)


def draw(maps: Maps, part: Part) -> None:
    """Draw one solid, which covers at least one cell; its part outside the map is cut off."""
    if part.shape == "beam":
        _draw_beam(maps, part)
    else:
        draw_all(maps, [part])


def draw_all(maps: Maps, parts: Sequence[Part]) -> None:
    """Draw solids in order, later ones over earlier ones."""
    if not parts:
        return
    rows, columns = maps.height.shape
    limits = np.array([part[1:5] for part in parts], np.float64) / maps.cell_m
    limits[:, 2:] += columns / 2  # y is 0 in the middle of the map
    cells = np.rint(limits).astype(np.int64)  # [parts, 4]: first and last row, column
    cells[:, 1] = np.maximum(cells[:, 1], cells[:, 0] + 1)
    cells[:, 3] = np.maximum(cells[:, 3], cells[:, 2] + 1)
    height, material = maps.height, maps.material
    cut = np.clip(cells, 0, [rows, rows, columns, columns]).tolist()
    for i, (r0, r1, c0, c1) in enumerate(cut):
        part = parts[i]
        if part.shape == "beam":
            _draw_beam(maps, part)
        elif part.shape == "disc":
            _draw_disc(maps, part, _Span(*cells[i].tolist()), (slice(r0, r1), slice(c0, c1)))
        else:
            height[r0:r1, c0:c1] = part.top
            material[r0:r1, c0:c1] = part.material


class _Span(NamedTuple):
    """Rows r0..r1 and columns c0..c1 of a part, which may lie outside the map."""

    r0: int
    r1: int
    c0: int
    c1: int


def _draw_disc(maps: Maps, part: Part, span: _Span, here: tuple[slice, slice]) -> None:
    if here[0].start >= here[0].stop or here[1].start >= here[1].stop:
        return
    mask, dome = _disc(span.r1 - span.r0, span.c1 - span.c0)
    cut = (
        slice(here[0].start - span.r0, here[0].stop - span.r0),
        slice(here[1].start - span.c0, here[1].stop - span.c0),
    )
    mask = mask[cut]
    maps.height[here][mask] = part.top * dome[cut][mask] if part.dome else part.top
    maps.material[here][mask] = part.material


def _draw_beam(maps: Maps, part: Part) -> None:
    """Draw a beam by points on it, close enough together to leave no cell out."""
    rows, columns = maps.height.shape
    inverse = 1.0 / maps.cell_m
    length = float(np.hypot(part.x1 - part.x0, part.y1 - part.y0)) * inverse
    along = np.linspace(0.0, 1.0, max(int(length * _BEAM_POINTS_PER_CELL), 2), dtype=np.float32)
    ux = (part.x1 - part.x0) * inverse / max(length, _LEAST_LENGTH)
    uy = (part.y1 - part.y0) * inverse / max(length, _LEAST_LENGTH)
    half = part.width * inverse / 2
    wide = half > _THIN_BEAM_HALF
    across = np.arange(-half + _LINE_PITCH / 2, half, _LINE_PITCH) if wide else np.zeros(1)
    # Rows and columns of the points, [along, across], in cells.
    r = part.x0 * inverse + along[:, None] * (length * ux) - across[None, :] * uy
    c = part.y0 * inverse + columns / 2 + along[:, None] * (length * uy) + across[None, :] * ux
    ri, ci = r.astype(np.intp), c.astype(np.intp)
    on_map = (ri >= 0) & (ri < rows) & (ci >= 0) & (ci < columns)
    cells = (ri * columns + ci)[on_map]
    maps.height.reshape(-1)[cells] = part.top
    maps.material.reshape(-1)[cells] = part.material
