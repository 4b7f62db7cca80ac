"""A chip: one ship cut out of one satellite picture, decoded and measured."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from service.contract.choice import Choice

GsdSource = Literal["parameter", "geotiff", "default"]


class Modality(Choice):
    """The kind of sensor."""

    OPTICAL = "optical"
    SAR = "sar"


DEFAULT_GSD_M = {Modality.OPTICAL: 0.75, Modality.SAR: 1.0}


@dataclass(frozen=True, slots=True)
class Position:
    """WGS 84, degrees: lat -90..90, lon -180..180."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class FileGrid:
    """Where the pixels of a chip lie in its file: decoding may resample pixels and reverse rows.

    Attributes:
        column_step: columns of the file from one column of the chip to the next.
        row_step: rows of the file from one row to the next; negative where they were reversed.
        top: the edge of the file from which rows count: 0, or the number of rows if reversed.
    """

    column_step: float = 1.0
    row_step: float = 1.0
    top: float = 0.0

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return column and row in the file, pixel centres at whole numbers."""
        return (x + 0.5) * self.column_step - 0.5, self.top + (y + 0.5) * self.row_step - 0.5


_WGS84_A_M, _WGS84_E2 = 6_378_137.0, 0.00669437999014


@dataclass(frozen=True, slots=True)
class ChipGround:
    """Where the pixels of a chip lie on the ground, as a plane around the chip's centre.

    The plane differs from the map by less than a pixel for chips of a few kilometres.

    Attributes:
        centre: the middle of the chip.
        middle: column and row of the middle, pixel centres at whole numbers.
        column_step: metres east and north from one column to the next.
        row_step: metres east and north from one row to the next.
    """

    centre: Position
    middle: tuple[float, float]
    column_step: tuple[float, float]
    row_step: tuple[float, float]

    def position(self, x: float, y: float) -> Position:
        """Return the position of column `x` and row `y`."""
        dx, dy = x - self.middle[0], y - self.middle[1]
        east, north = (
            dx * c + dy * r for c, r in zip(self.column_step, self.row_step, strict=True)
        )
        lat, lon = math.radians(self.centre.lat), math.radians(self.centre.lon)
        vertical = _WGS84_A_M / math.sqrt(1.0 - _WGS84_E2 * math.sin(lat) ** 2)
        # Earth-centred coordinates in the meridian plane of the centre know no pole.
        out = vertical * math.cos(lat) - north * math.sin(lat)
        up = vertical * (1.0 - _WGS84_E2) * math.sin(lat) + north * math.cos(lat)
        degrees = math.degrees(lon + math.atan2(east, out))
        return Position(
            lat=math.degrees(math.atan2(up, math.hypot(out, east) * (1.0 - _WGS84_E2))),
            lon=(degrees + 180.0) % 360.0 - 180.0,
        )

    def heading_deg(self, axis_deg: float) -> float:
        """Return the true heading of an axis of the picture.

        Args:
            axis_deg: clockwise from the top of the picture.

        Returns:
            degrees clockwise from true north, 0 to below 180.
        """
        across, up = math.sin(math.radians(axis_deg)), math.cos(math.radians(axis_deg))
        east, north = (
            across * c - up * r for c, r in zip(self.column_step, self.row_step, strict=True)
        )
        return math.degrees(math.atan2(east, north)) % 180.0 % 180.0  # -1e-17 becomes 180, then 0


@dataclass(frozen=True, slots=True)
class Chip:
    """A decoded chip.

    Attributes:
        pixels: optical uint8 `[H, W, 3]`, or SAR amplitude float32 `[H, W]`, finite.
        gsd_m: ground sampling distance, metres per pixel.
        bit_depth: the sample type of the file, e.g. `float32`, `uint8`, `complex64`.
        digest: SHA-256 of the file's bytes, hexadecimal.
        position: centre of the chip, or of the ship after framing; None if the file does not
            contain it.
        warnings: assumptions and changes made while reading, for the analyst.
        ground: where the pixels lie; None where `position` is, and after framing.
        grid: where the pixels lie in the file.
        cut_out: whether framing has cut the ship out of a larger picture.
    """

    pixels: NDArray[Any]
    modality: Modality
    gsd_m: float
    gsd_source: GsdSource
    bit_depth: str
    digest: str
    position: Position | None = None
    warnings: tuple[str, ...] = ()
    ground: ChipGround | None = None
    grid: FileGrid = FileGrid()
    cut_out: bool = False

    @property
    def length_m(self) -> float:
        """The chip's long side in metres, which is the ship's length if the crop is tight."""
        return float(max(self.pixels.shape[:2]) * self.gsd_m)

    @property
    def width_m(self) -> float:
        """The chip's short side in metres."""
        return float(min(self.pixels.shape[:2]) * self.gsd_m)
