"""How a chip was framed: the record that is kept with its sighting."""

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from service.contract.chip import Position
from service.contract.choice import Choice
from service.contract.framing.findings import Finding, Level, sentence
from service.contract.framing.rectangle import Rectangle

Method = Literal["unchanged", "quarter_turn", "cropped", "rotated", "none"]
"""How the framed pixels came about: as they were, turned by 90 degrees, cut out, turned by any
angle and cut out (the only one that resamples), or as they were because no ship was found."""


class FramingMode(Choice):
    """What the client wants done with a chip before the models see it.

    `auto`: find the ship, and cut it out upright and tight unless the chip is so already.
    `as_is`: judge the chip, but leave its pixels alone.
    """

    AUTO = "auto"
    AS_IS = "as_is"


class Framing(BaseModel):
    """How a chip was framed: enough to do it again on the same file, and what was found.

    Attributes:
        method: how the pixels that the models see came about.
        turned_deg: clockwise turn of the chip that set the ship upright, -90 to 90.
        outline: the rectangle around the hull in pixels of the chip; None where no ship was found.
        heading_axis_deg: true heading of the ship's axis, degrees clockwise from north, 0 to below
            180; None where the file has no georeference.
        corners_on_ground: the corners of the outline; None where the file has no georeference.
        corners_in_file: columns and rows of the corners in the file; None where they are those of
            the chip, whose pixels were neither resampled nor reversed.
        length_m: of the outline; None where no ship was found.
        width_m: of the outline; None where no ship was found.
        length_error_m: standard error of the length.
        width_error_m: standard error of the width.
        removed_share: share of the chip's area that the models do not see, 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: FramingMode
    method: Method
    turned_deg: float = 0.0
    outline: Rectangle | None = None
    heading_axis_deg: float | None = None
    corners_on_ground: tuple[Position, ...] | None = None
    corners_in_file: tuple[tuple[float, float], ...] | None = None
    length_m: float | None = None
    width_m: float | None = None
    length_error_m: float | None = None
    width_error_m: float | None = None
    removed_share: float = 0.0
    findings: tuple[Finding, ...] = ()

    @property
    def bow_is_open(self) -> bool:
        """Whether the bow may be at either end: the chip was turned or cut out by its axis."""
        return self.method in ("quarter_turn", "cropped", "rotated")

    @property
    def cut_out(self) -> bool:
        """Whether the ship was cut out of a larger picture."""
        return self.method in ("cropped", "rotated")

    @property
    def worst(self) -> Level:
        """The worst level of all findings."""
        return max((finding.level for finding in self.findings), key=_severity, default=Level.OK)

    def worst_first(self) -> tuple[Finding, ...]:
        """Return the findings, bad ones first, then doubtful ones."""
        return tuple(sorted(self.findings, key=lambda finding: -_severity(finding.level)))

    def sentence(self, finding: Finding) -> str:
        """Return what a finding says to the analyst."""
        return sentence(finding, self.length_m, self.width_m)

    def complaints(self, level: Level) -> tuple[str, ...]:
        """Return the sentences of the findings of one level."""
        return tuple(self.sentence(one) for one in self.findings if one.level is level)


@dataclass(frozen=True, slots=True)
class FramedPixels:
    """The pixels that framing made, and how: in the mode `auto`, without places on the ground.

    Attributes:
        pixels: the upright tight chip, of the chip's own type; the chip's own array where it
            passed unchanged or no ship was found.
    """

    pixels: NDArray[Any]
    framing: Framing


UNCHANGED = Framing(mode=FramingMode.AS_IS, method="unchanged")
"""Of a chip that is decoded and no more."""


def _severity(level: Level) -> int:
    return list(Level).index(level)
