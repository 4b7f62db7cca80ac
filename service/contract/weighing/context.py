"""Weigh what is known beside the pixels: registered size, vessel type, and the voyage.

Each fact adds the logarithm of its own likelihood ratio to a candidate's log odds. The tables of
`ContextSpec` are fitted so that they add up beside the evidence of the chips.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.contract.chip import Modality
from service.contract.weighing.specs import ContextSpec, RatioTable

IMPOSSIBLE = -30.0
"""What an impossible voyage adds to the log odds: a factor of 9e-14."""

MAX_SPEED_KN = 30.0
"""The speed above which a voyage is impossible, unless the analyst gives another one."""

USUAL_SPEED_KN = 13.0
"""The usual speed of a vessel whose type is unknown."""

USUAL_SPEEDS_KN: tuple[tuple[str, float], ...] = (
    ("container", 17.0),
    ("cruise", 19.0),
    ("passenger", 18.0),
    ("ferry", 18.0),
    ("ro-ro", 16.0),
    ("vehicle", 17.0),
    ("gas", 16.0),
    ("lng", 17.0),
    ("tanker", 12.5),
    ("bulk", 12.0),
    ("self unloader", 12.0),
    ("fishing", 9.0),
    ("tug", 9.0),
    ("barge", 7.0),
    ("dredger", 9.0),
    ("cargo", 12.0),
)
"""Usual service speeds by a word of the type, in knots; the first word that occurs counts.

Rounded averages of ships under way: a voyage that needs twice as much is unusual, not impossible.
"""

CHIP_OVER_SHIP = {Modality.OPTICAL: (1.17, 1.45), Modality.SAR: (1.17, 1.6)}
"""Sides of a tight chip over the ship's length and beam: it holds sea, shadow and layover.

Medians of 750 simulated chips of each sensor over their ships' true sizes.
"""


@dataclass(frozen=True, slots=True)
class Voyage:
    """The voyage from a vessel's sighting to the query.

    Attributes:
        required_kn: speed that the voyage requires, knots; infinite for two places at one time.
        hours: the longest time between the two sightings that their stated times allow.
        possible: whether the fastest allowed ship can make the voyage.
    """

    required_kn: float
    hours: float
    usual_kn: float
    possible: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a candidate beside its chips; None where unknown.

    Attributes:
        register_length_ratio: measured length of the query over the registered length, divided by
            the usual ratio (`CHIP_OVER_SHIP`); 1: as expected.
        register_width_ratio: the same for the measured width and the registered beam.
        type_agrees: whether the vessel is of the type that the analyst sees.
    """

    register_length_ratio: float | None = None
    register_width_ratio: float | None = None
    type_agrees: bool | None = None
    voyage: Voyage | None = None


def context_terms(candidates: Sequence[Facts], spec: ContextSpec | None) -> list[dict[str, float]]:
    """Return the ln likelihood ratios of the known facts of each candidate.

    Args:
        spec: the tables; None: only an impossible voyage counts.

    Returns:
        For each candidate, ln likelihood ratios by name: `register_length`, `register_width`,
        `type`, `voyage`. An unknown fact has no entry.
    """
    terms = [dict[str, float]() for _ in candidates]

    def weigh(name: str, table: RatioTable, values: Mapping[int, float]) -> None:
        """Add a term for the candidates in these places."""
        for place, term in zip(values, look_up(table, [*values.values()]).tolist(), strict=True):
            terms[place][name] = term

    voyages = {n: one.voyage for n, one in enumerate(candidates) if one.voyage is not None}
    if spec is not None:
        lengths = {n: one.register_length_ratio for n, one in enumerate(candidates)}
        weigh("register_length", spec.register_length, _log_ratios(lengths))
        widths = {n: one.register_width_ratio for n, one in enumerate(candidates)}
        weigh("register_width", spec.register_width, _log_ratios(widths))
        for n, one in enumerate(candidates):
            if one.type_agrees is not None:
                terms[n]["type"] = spec.type_agrees if one.type_agrees else spec.type_differs
        for part in reversed(spec.voyage):  # the first one that covers the hours counts
            within = {n: v for n, v in voyages.items() if v.hours <= part.max_hours}
            speeds = {n: v.required_kn / v.usual_kn for n, v in within.items()}
            weigh("voyage", part.table, speeds)
    for n, voyage in voyages.items():
        if not voyage.possible:
            terms[n]["voyage"] = IMPOSSIBLE
    return terms


def _log_ratios(ratios: Mapping[int, float | None]) -> dict[int, float]:
    """Return |ln| of the known ratios."""
    return {n: abs(math.log(ratio)) for n, ratio in ratios.items() if ratio is not None}


@lru_cache(maxsize=1024)
def usual_speed_kn(vessel_type: str | None) -> float:
    """Return the usual speed of a registered vessel type, in knots."""
    words = (vessel_type or "").casefold()
    return next((speed for word, speed in USUAL_SPEEDS_KN if word in words), USUAL_SPEED_KN)


def look_up(table: RatioTable, values: ArrayLike) -> NDArray[np.float64]:
    """Return ln likelihood ratios float64 of values of any shape."""
    numbers = np.asarray(values, np.float64)
    return np.asarray(np.interp(numbers, table.at, table.log_ratio), np.float64)
