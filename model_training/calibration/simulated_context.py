"""Draw registers, vessel types and voyages for replayed searches, with realistic errors.

No data set pairs chips with registers and tracks, so these are simulated, and every document that
uses them says so. The constants are assumptions, not measurements:

* A register is unknown for `UNKNOWN` of the vessels and wrong for `WRONG_REGISTER`; else its length
  differs from the true one by `REGISTER_ERROR`. True lengths are drawn given the chips' measured
  lengths, whose error is estimated from the searches.
* A query has a wrong GSD with `WRONG_GSD`: all its measured lengths are off by one factor.
* An analyst names the type in half of the searches, and is right with `ANALYST_RIGHT`.
* Positions and times are known for a part of the searches. Ships stay, or sail at about their
  usual speed with detours; other vessels were last seen at the same anchorage or elsewhere in
  the area. `LATE_AIS` of the positions are older than their time says.

Shapes: S searches, M weighed candidates.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model_training.calibration.searches import EVIDENCE, Searches
from service.contract.weighing.context import MAX_SPEED_KN, USUAL_SPEED_KN

UNKNOWN = 0.2
WRONG_REGISTER = 0.05
REGISTER_ERROR = 0.01
WRONG_LENGTH_SPREAD = 0.3
WRONG_GSD = 0.05
GSD_FACTORS = (0.5, 0.75, 1.33, 2.0)
ANALYST_NAMES_TYPE = 0.5
ANALYST_RIGHT = 0.8
TYPE_RIGHT = 0.92
TYPE_SHARES = (0.3, 0.25, 0.15, 0.15, 0.1, 0.05)
TYPE_SPEEDS_KN = (12.0, 12.5, 17.0, 12.0, 16.0, 18.0)
SAME_TYPE_AS_QUERY = 0.3  # look-alikes are more often of its type than chance has it
POSITION_KNOWN = 0.6
FIX_KNOWN = 0.8
HOURS = (1.0, 720.0)
STAYS = 0.35
AREA_NM = 700.0
SAME_ANCHORAGE = 0.25
LATE_AIS = 0.05
LATE_HOURS = (0.5, 12.0)
POSITION_SLACK_NM = 1.0

_LENGTH, _WIDTH = EVIDENCE.index("length_log_ratio"), EVIDENCE.index("width_log_ratio")

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of each candidate beside its chips; NaN for the unknown.

    Attributes:
        searches: the searches, with the lengths that a wrong GSD changes.
        register_length: float64 `[S, M]`, |ln(measured / registered length)|.
        register_width: float64 `[S, M]`, the same of width and beam.
        type_agrees: float64 `[S, M]`, 1 or 0.
        hours: float64 `[S, M]`, between sighting and query, as recorded.
        speed_ratio: float64 `[S, M]`, required over usual speed.
        impossible: bool `[S, M]`, whether the voyage is impossible.
    """

    searches: Searches
    register_length: Floats
    register_width: Floats
    type_agrees: Floats
    hours: Floats
    speed_ratio: Floats
    impossible: Bools


def draw_context(searches: Searches, seed: int = 0) -> Context:
    """Draw what is known of every candidate of the searches."""
    rng = np.random.default_rng(seed)
    shape = searches.present.shape
    wrong = rng.random(shape[0]) < WRONG_GSD
    shift = np.where(wrong, np.log(rng.choice(GSD_FACTORS, shape[0])), 0.0)[:, None]
    evidence = searches.evidence.copy()
    registers = []
    for column in (_LENGTH, _WIDTH):
        # the logarithm of the candidate's chip length over that of the query, before a wrong GSD
        chip = evidence[..., column] * rng.choice((-1.0, 1.0), shape)
        evidence[..., column] = np.abs(shift - chip)
        registers.append(np.abs(shift - _registered(chip, searches, rng)))
    types = _types(searches, rng)
    hours, ratio, impossible = _voyages(searches, types, rng)
    return Context(
        searches=replace(searches, evidence=evidence),
        register_length=registers[0],
        register_width=registers[1],
        type_agrees=_agreement(searches, types, rng),
        hours=hours,
        speed_ratio=ratio,
        impossible=impossible,
    )


def _registered(chip: Floats, searches: Searches, rng: np.random.Generator) -> Floats:
    """Draw ln(registered / measured length) `[S, M]` given the chips' measured lengths."""
    own = searches.correct & searches.present
    # a chip's error: two of them make the difference of two chips of one ship
    error = np.median(np.abs(chip[own])) / 0.6745 / np.sqrt(2.0) if own.any() else 0.05
    noise = rng.normal(0.0, error, chip.shape)
    truth = np.where(own, chip / 2.0 + noise / np.sqrt(2.0), chip + noise)
    wrong = rng.random(chip.shape) < WRONG_REGISTER
    spread = np.where(wrong, WRONG_LENGTH_SPREAD, REGISTER_ERROR)
    registered = truth + spread * rng.normal(size=chip.shape)
    return np.where(rng.random(chip.shape) < UNKNOWN, np.nan, registered)


def _types(searches: Searches, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the true type of the query's ship (column 0) and of each candidate, int `[S, 1 + M]`."""
    rows, columns = searches.present.shape
    types = rng.choice(len(TYPE_SHARES), (rows, 1 + columns), p=TYPE_SHARES)
    alike = rng.random((rows, columns)) < SAME_TYPE_AS_QUERY
    own = searches.correct | alike
    types[:, 1:] = np.where(own, types[:, :1], types[:, 1:])
    return types


def _agreement(searches: Searches, types: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Draw whether the registered type is the one that the analyst names, NaN if one is unknown."""
    rows, columns = searches.present.shape
    named = types[:, :1].copy()
    mistaken = rng.random((rows, 1)) >= ANALYST_RIGHT
    named[mistaken] = rng.choice(len(TYPE_SHARES), int(mistaken.sum()))
    registered = types[:, 1:].copy()
    wrong = rng.random((rows, columns)) >= TYPE_RIGHT
    registered[wrong] = rng.choice(len(TYPE_SHARES), int(wrong.sum()))
    unknown = (rng.random((rows, columns)) < UNKNOWN) | (
        rng.random((rows, 1)) >= ANALYST_NAMES_TYPE
    )
    return np.where(unknown, np.nan, (registered == named).astype(np.float64))


def _voyages(
    searches: Searches, types: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, Floats, Bools]:
    """Draw hours, required over usual speed, and whether that is impossible, each `[S, M]`."""
    shape = searches.present.shape
    usual = np.array(TYPE_SPEEDS_KN)[types[:, 1:]]
    hours = np.exp(rng.uniform(np.log(HOURS[0]), np.log(HOURS[1]), shape))
    stays = rng.random(shape) < STAYS
    sailed = usual * rng.uniform(0.5, 1.15, shape) * hours * rng.beta(5.0, 2.0, shape)
    beyond = sailed > 2 * AREA_NM  # ships on a round trip are seen again in the area
    sailed = np.where(beyond, 2 * AREA_NM * rng.random(shape), sailed)
    near = np.abs(rng.normal(0.0, 3.0, shape))
    elsewhere = AREA_NM * np.sqrt(rng.random(shape))
    there = rng.random(shape) < SAME_ANCHORAGE
    own = np.where(stays, near, sailed)
    distance = np.where(searches.correct, own, np.where(there, near, elsewhere))
    late = rng.random(shape) < LATE_AIS
    recorded = np.maximum(hours - np.where(late, rng.uniform(*LATE_HOURS, shape), 0.0), 0.1)
    required = np.maximum(distance - POSITION_SLACK_NM, 0.0) / recorded
    known_type = rng.random(shape) >= UNKNOWN
    ratio = required / np.where(known_type, usual, USUAL_SPEED_KN)
    known = (rng.random((shape[0], 1)) < POSITION_KNOWN) & (rng.random(shape) < FIX_KNOWN)
    return (
        np.where(known, recorded, np.nan),
        np.where(known, ratio, np.nan),
        known & (required > MAX_SPEED_KN),
    )
