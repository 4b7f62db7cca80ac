"""Choose the ships that a run holds out, and which of them serve which purpose."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.contract.chip import Modality

MIN_PART = 20  # ships; calibration refuses fewer

Purpose = Literal["choice", "fusion", "calibration"]
# What each purpose is called in a sentence about ships that serve several.
_DEEDS: dict[Purpose, str] = {
    "choice": "choose the checkpoint",
    "fusion": "select the fusion",
    "calibration": "calibrate",
}


@dataclass(frozen=True, slots=True)
class HeldOutPart:
    """The held-out ships that serve one purpose, and a sentence about the others' use of them."""

    vessels: frozenset[int]
    note: str


class HoldoutError(Exception):
    """Too few ships have chips of both sensors to hold some of them out."""


def held_out_vessels(
    chips: Iterable[tuple[int, Modality]], share: float, seed: int
) -> frozenset[int]:
    """Choose a share of the ships that have chips of both sensors.

    Args:
        chips: ship and sensor of each chip.
        share: of the ships with chips of both sensors; at least 2 are held out.
        seed: of the choice (`split_seed`).

    Raises:
        HoldoutError: fewer than two such ships would remain for training.
    """
    both, count = _with_both_sensors(chips, share)
    chosen = np.random.default_rng(seed).choice(both, count, replace=False)
    return frozenset(int(vessel) for vessel in chosen)


def lasting_held_out(
    chips: Iterable[tuple[int, Modality]], share: float, seed: int
) -> frozenset[int]:
    """Choose ships as `held_out_vessels` does, but by a hash of each ship's own id.

    Whether a ship is held out hardly depends on the others, so that an archive that grows keeps
    its held-out ships.

    Raises:
        HoldoutError: see `held_out_vessels`.
    """
    both, count = _with_both_sensors(chips, share)

    def place(vessel: int) -> bytes:
        return hashlib.sha256(f"{seed} {vessel}".encode()).digest()

    return frozenset(sorted(both, key=place)[:count])


def _with_both_sensors(
    chips: Iterable[tuple[int, Modality]], share: float
) -> tuple[list[int], int]:
    """Return the ships with chips of both sensors, ascending, and how many are held out."""
    sensors: dict[int, set[Modality]] = {}
    for vessel, modality in chips:
        sensors.setdefault(vessel, set()).add(modality)
    both = sorted(vessel for vessel, modalities in sensors.items() if len(modalities) == 2)
    count = max(2, round(share * len(both)))
    if len(both) < count + 2:
        raise HoldoutError(f"only {len(both)} ships have chips of both sensors; at least 4 needed")
    return both, count


def held_out_part(held_out: Iterable[int], purpose: Purpose, seed: int) -> HeldOutPart:
    """Choose the ships that serve a purpose, different ones for each where there are enough.

    From three times `MIN_PART` on, choice of the checkpoint, selection of fusion and calibration
    have a third each; from twice `MIN_PART` on, calibration has half, and the other two share the
    other half; below, all share all ships.

    Args:
        held_out: the ships that a run held out, see `held_out_vessels`.
        purpose: what the ships are for.
        seed: of the division (`split_seed`).
    """
    ships = np.random.default_rng([seed, 1]).permutation(sorted(held_out))
    groups: list[tuple[Purpose, ...]] = [("choice", "fusion", "calibration")]
    if len(ships) >= 3 * MIN_PART:
        groups = [("choice",), ("fusion",), ("calibration",)]
    elif len(ships) >= 2 * MIN_PART:
        groups = [("choice", "fusion"), ("calibration",)]
    number = next(i for i, group in enumerate(groups) if purpose in group)
    part = frozenset(int(ship) for ship in np.array_split(ships, len(groups))[number])
    others = [_DEEDS[other] for other in groups[number] if other != purpose]
    note = f"{len(part)} of {len(ships)} held-out ships {_DEEDS[purpose]}"
    if not others:
        return HeldOutPart(part, f"{note}; they serve nothing else")
    return HeldOutPart(
        part,
        f"{note}; the same ships {' and '.join(others)}, because there are too few for different "
        f"ones: hold out at least {3 * MIN_PART} (data.validation_share)",
    )
