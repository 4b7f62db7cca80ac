"""What framing tells of a chip: the ship's outline, the upright crop, and the chip's quality."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from numpy.typing import NDArray

from service.contract.framing.rectangle import Rectangle

Method = Literal["unchanged", "quarter_turn", "cropped", "rotated", "none"]
"""How the framed pixels came about: as they were, turned by 90 degrees, cut out, turned by any
angle and cut out (the only one that resamples), or as they were because no ship was found."""


class Level(StrEnum):
    """How far a finding impairs the use of the chip."""

    OK = "ok"
    DOUBTFUL = "doubtful"
    BAD = "bad"


class Kind(StrEnum):
    """What is judged of a chip."""

    NO_SHIP = "no_ship"
    SEVERAL_SHIPS = "several_ships"
    CUT_OFF = "cut_off"
    LAND_BESIDE = "land_beside"
    SMEARED = "smeared"
    SATURATED = "saturated"
    TOO_COARSE = "too_coarse"
    IMPLAUSIBLE_SHAPE = "implausible_shape"
    GSD_CONTRADICTS_SIZE = "gsd_contradicts_size"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement: its kind and level, and the number behind it; `sentences.py` words it."""

    kind: Kind
    level: Level
    value: float


@dataclass(frozen=True, slots=True)
class Framed:
    """A chip after framing.

    Attributes:
        pixels: the upright tight chip, of the chip's own type; the chip's own array where it
            passed unchanged or no ship was found.
        method: how the pixels came about.
        outline: the rectangle around the hull in pixels of the chip; None where no ship was found.
        turned_deg: clockwise turn that set the ship upright, -90 to 90.
        length_m: of the outline, metres; None where no ship was found.
        width_m: likewise.
        length_error_m: standard error of the length.
        width_error_m: standard error of the width.
        removed_share: share of the chip's area that the tight crop leaves out, 0..1.
        quality: a finding for each kind, in the order of `Kind`.
    """

    pixels: NDArray[Any]
    method: Method
    outline: Rectangle | None
    turned_deg: float
    length_m: float | None
    width_m: float | None
    length_error_m: float | None
    width_error_m: float | None
    removed_share: float
    quality: tuple[Finding, ...]

    @property
    def axis_deg(self) -> float | None:
        """Heading axis in the chip, clockwise from the top, 0 to below 180; None without ship."""
        return None if self.outline is None else self.outline.axis_deg

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """x and y of the outline's corners in pixels of the chip; empty without ship."""
        return () if self.outline is None else self.outline.corners()

    @property
    def unchanged(self) -> bool:
        """Whether the chip was tight and upright already and passed bit for bit."""
        return self.method == "unchanged"

    @property
    def found(self) -> bool:
        """Whether a ship was found."""
        return self.method != "none"

    @property
    def worst(self) -> Level:
        """The worst level of all findings."""
        levels = {finding.level for finding in self.quality}
        return next((level for level in (Level.BAD, Level.DOUBTFUL) if level in levels), Level.OK)

    def finding(self, kind: Kind) -> Finding:
        """Return the finding of one kind."""
        return next(finding for finding in self.quality if finding.kind == kind)
