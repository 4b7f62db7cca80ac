"""A chip: one ship cut out of one satellite picture, decoded and measured."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from numpy.typing import NDArray

GsdSource = Literal["parameter", "geotiff", "default"]


class Modality(StrEnum):
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
class Chip:
    """A decoded chip.

    Attributes:
        pixels: optical uint8 `[H, W, 3]`, or SAR amplitude float32 `[H, W]`, finite.
        modality: the kind of sensor.
        gsd_m: ground sampling distance, metres per pixel.
        gsd_source: the source of the GSD.
        bit_depth: the sample type of the file, e.g. `float32`, `uint8`, `complex64`.
        digest: SHA-256 of the file's bytes, hexadecimal.
        position: centre of the chip; None if the file does not contain it.
        warnings: assumptions and changes made while reading, for the analyst.
    """

    pixels: NDArray[Any]
    modality: Modality
    gsd_m: float
    gsd_source: GsdSource
    bit_depth: str
    digest: str
    position: Position | None = None
    warnings: tuple[str, ...] = ()

    @property
    def length_m(self) -> float:
        """The chip's long side in metres, which is the ship's length if the crop is tight."""
        return float(max(self.pixels.shape[:2]) * self.gsd_m)

    @property
    def width_m(self) -> float:
        """The chip's short side in metres."""
        return float(min(self.pixels.shape[:2]) * self.gsd_m)
