"""Frame a decoded chip for the models, and do the same again later from what was recorded."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from service.contract.chip import Chip, FileGrid
from service.contract.errors import NoShipError
from service.contract.framing.crop import cut_out, quarter_turn
from service.contract.framing.frame import frame_chip
from service.contract.framing.records import Framing, FramingMode


@dataclass(frozen=True, slots=True)
class FramedChip:
    """A chip as the models see it, and how it was framed.

    Attributes:
        chip: its length and width are those of the framed pixels, its position is the ship's.
        frame_ms: milliseconds that framing took; 0 where it was not measured.
    """

    chip: Chip
    framing: Framing
    frame_ms: float = 0.0


def frame(chip: Chip, mode: FramingMode) -> FramedChip:
    """Find the ship in a decoded chip, judge the chip, and frame it as `mode` says.

    Raises:
        NoShipError: `mode` is `auto` and no ship was found.
    """
    framed = frame_chip(chip.pixels, chip.modality, chip.gsd_m)
    outline = framed.framing.outline
    if mode is FramingMode.AUTO and outline is None:
        raise NoShipError(
            "no ship was found in the chip: nothing in it has a ship's shape and stands out from "
            "the water; send a crop around one ship, or framing=as_is to use the chip as it is"
        )
    known: dict[str, Any] = {}
    if chip.ground is not None and outline is not None:
        known["heading_axis_deg"] = chip.ground.heading_deg(outline.axis_deg)
        known["corners_on_ground"] = tuple(chip.ground.position(*at) for at in outline.corners())
    if chip.grid != FileGrid() and outline is not None:
        known["corners_in_file"] = tuple(chip.grid.place(*at) for at in outline.corners())
    pixels = framed.pixels
    if mode is FramingMode.AS_IS:
        known |= {"mode": mode, "method": "unchanged", "turned_deg": 0.0, "removed_share": 0.0}
        pixels = chip.pixels
    framing = framed.framing.model_copy(update=known)
    return FramedChip(_of_ship(chip, framing, pixels), framing)


def frame_again(chip: Chip, framing: Framing) -> Chip:
    """Frame the decoded chip of a known sighting as it was framed before.

    Args:
        chip: decoded from the same file with the same facts as before.
    """
    if framing.method in ("unchanged", "none") or framing.outline is None:
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
    return replace(chip, pixels=pixels, position=position, ground=None, cut_out=framing.cut_out)
