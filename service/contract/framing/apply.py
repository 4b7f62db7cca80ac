"""Frame a decoded chip for the models, and do the same again later from what was recorded."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from service.contract.chip import Chip, Position
from service.contract.errors import NoShipError
from service.contract.framing.crop import cut_out, quarter_turn
from service.contract.framing.frame import frame_chip
from service.contract.framing.records import Finding, Framed, Level, Method
from service.contract.framing.rectangle import Rectangle
from service.contract.framing.sentences import sentence


class FramingMode(StrEnum):
    """What the client wants done with a chip before the models see it.

    `auto`: find the ship, and cut it out upright and tight unless the chip is so already.
    `as_is`: judge the chip, but leave its pixels alone.
    """

    AUTO = "auto"
    AS_IS = "as_is"


class Framing(BaseModel):
    """How a chip was framed: enough to do it again on the same file, and what was found.

    Attributes:
        mode: what was asked for.
        method: how the pixels that the models see came about.
        turned_deg: clockwise turn of the chip that set the ship upright, -90 to 90.
        outline: the rectangle around the hull in pixels of the chip; None where no ship was found.
        heading_axis_deg: true heading of the ship's axis, degrees clockwise from north, 0 to below
            180; None where the file has no georeference.
        corners_on_ground: the corners of the outline; None likewise.
        length_m: of the outline; None where no ship was found.
        width_m: likewise.
        length_error_m: standard error of the length.
        width_error_m: standard error of the width.
        removed_share: share of the chip's area that the models do not see, 0..1.
        findings: the chip's quality, a finding of each kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: FramingMode
    method: Method
    turned_deg: float = 0.0
    outline: Rectangle | None = None
    heading_axis_deg: float | None = None
    corners_on_ground: tuple[Position, ...] | None = None
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
class FramedChip:
    """A chip as the models see it, and how it was framed.

    Attributes:
        chip: its length and width are those of the framed pixels, its position is the ship's.
        framing: None for chips of sightings that were made before chips were framed.
        frame_ms: milliseconds that framing took; 0 where it was not measured.
    """

    chip: Chip
    framing: Framing | None
    frame_ms: float = 0.0


def frame(chip: Chip, mode: FramingMode) -> FramedChip:
    """Find the ship in a decoded chip, judge the chip, and frame it as `mode` says.

    Raises:
        NoShipError: `mode` is `auto` and no ship was found.
    """
    framed = frame_chip(chip.pixels, chip.modality, chip.gsd_m)
    if mode is FramingMode.AUTO and not framed.found:
        raise NoShipError(
            "no ship was found in the chip: nothing in it has a ship's shape and stands out from "
            "the water; send a crop around one ship, or framing=as_is to use the chip as it is"
        )
    as_is = mode is FramingMode.AS_IS
    framing = Framing(
        mode=mode,
        method="unchanged" if as_is else framed.method,
        turned_deg=0.0 if as_is else framed.turned_deg,
        outline=framed.outline,
        heading_axis_deg=_heading(chip, framed),
        corners_on_ground=_corners_on_ground(chip, framed),
        length_m=framed.length_m,
        width_m=framed.width_m,
        length_error_m=framed.length_error_m,
        width_error_m=framed.width_error_m,
        removed_share=0.0 if as_is else framed.removed_share,
        findings=framed.quality,
    )
    return FramedChip(_of_ship(chip, framing, chip.pixels if as_is else framed.pixels), framing)


def frame_again(chip: Chip, framing: Framing | None) -> Chip:
    """Frame the decoded chip of a known sighting as it was framed before.

    Args:
        chip: decoded from the same file with the same facts as before.
        framing: what was recorded; None for sightings that were made before chips were framed,
            whose pixels stay as they are.
    """
    if framing is None or framing.method in ("unchanged", "none") or framing.outline is None:
        return chip
    if framing.method == "quarter_turn":
        pixels = quarter_turn(chip.pixels)
    else:
        pixels, _, _ = cut_out(chip.pixels, framing.outline, chip.modality)
    return _of_ship(chip, framing, pixels)


def _of_ship(chip: Chip, framing: Framing, pixels: NDArray[Any]) -> Chip:
    """Return the chip with its framed pixels, at the position of the ship."""
    if pixels is chip.pixels:
        return chip
    position = chip.position
    if chip.ground is not None and framing.outline is not None:
        position = chip.ground.position(framing.outline.column, framing.outline.row)
    return replace(chip, pixels=pixels, position=position, ground=None)


def _heading(chip: Chip, framed: Framed) -> float | None:
    if chip.ground is None or framed.outline is None:
        return None
    return chip.ground.heading_deg(framed.outline.axis_deg)


def _corners_on_ground(chip: Chip, framed: Framed) -> tuple[Position, ...] | None:
    if chip.ground is None or framed.outline is None:
        return None
    return tuple(chip.ground.position(x, y) for x, y in framed.corners)


def _severity(level: Level) -> int:
    return list(Level).index(level)
