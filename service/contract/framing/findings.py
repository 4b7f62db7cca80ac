"""The kinds of faults of a chip, and what each says to the analyst."""

from dataclasses import dataclass
from enum import StrEnum


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
    """One judgement: its kind and level, and the number behind it; `sentence` puts it in words."""

    kind: Kind
    level: Level
    value: float


_OK = {
    Kind.NO_SHIP: "A ship was found (confidence {value:.2f} of 1).",
    Kind.SEVERAL_SHIPS: "No other ship was seen in the chip.",
    Kind.CUT_OFF: "The ship lies within the chip.",
    Kind.LAND_BESIDE: "Open water surrounds the hull.",
    Kind.SMEARED: "The hull is not smeared.",
    Kind.SATURATED: "The hull's brightness is within the sensor's range.",
    Kind.TOO_COARSE: "The hull is {value:.0f} pixels long.",
    Kind.IMPLAUSIBLE_SHAPE: "The outline is {value:.1f} times as long as wide.",
    Kind.GSD_CONTRADICTS_SIZE: "The ship is {length_m:.0f} m x {width_m:.0f} m large.",
}
_NOT_OK = {
    Kind.NO_SHIP: (
        "Something was found that may be no ship (confidence {value:.2f} of 1). Check the outline."
    ),
    Kind.SEVERAL_SHIPS: (
        "{value:.0f} more ship(s) may be in the chip; {choice}. Send a crop around one ship."
    ),
    Kind.CUT_OFF: (
        "The chip's border cuts the ship over {value:.0%} of its width; its length may be too "
        "short. Send a crop with sea on all sides."
    ),
    Kind.LAND_BESIDE: (
        "{value:.0%} of the surroundings of the hull is no open water: land, a quay or another "
        "hull lies beside it, and the outline may take in a part of it."
    ),
    Kind.SMEARED: (
        "The hull is smeared in one direction (streaks {value:.2f} of 1), as motion of the ship "
        "does; length and deck are unreliable."
    ),
    Kind.SATURATED: "{value:.0%} of the hull is saturated; the deck's pattern is lost there.",
    Kind.TOO_COARSE: (
        "The hull is only {value:.0f} pixels long; at least 40 are needed, 20 at the least."
    ),
    Kind.IMPLAUSIBLE_SHAPE: (
        "The outline is {value:.1f} times as long as wide; ships are 2 to 12 times as long as wide."
    ),
    Kind.GSD_CONTRADICTS_SIZE: (
        "At this ground sampling distance the ship would be {length_m:.0f} m x {width_m:.0f} m "
        "large; check gsd_m."
    ),
}
_NONE_FOUND = "No ship was found: nothing in the chip has a ship's shape and stands out from water."
_NOT_JUDGED = "Not judged, because no ship was found."


def sentence(finding: Finding, length_m: float | None, width_m: float | None) -> str:
    """Return what a finding says.

    Args:
        length_m: of the outline; None where no ship was found.
        width_m: of the outline; None where no ship was found.
    """
    if length_m is None or width_m is None:
        return _NONE_FOUND if finding.kind is Kind.NO_SHIP else _NOT_JUDGED
    texts = _OK if finding.level is Level.OK else _NOT_OK
    unsure = finding.level is Level.BAD
    choice = "it is unsure which is meant" if unsure else "the one nearest the middle was taken"
    return texts[finding.kind].format(
        value=finding.value, length_m=length_m, width_m=width_m, choice=choice
    )
