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
    return frozenset(_by_hash(both, seed)[:count])


def archive_part(
    held_out: Iterable[int], purpose: Literal["choice", "comparison"], seed: int
) -> HeldOutPart:
    """Choose the held-out ships of an archive that choose the checkpoint, or the other half.

    The checkpoint that some ships chose looks better on them than it is, so that others have to
    say whether it is better than the older encoder, however few they are.

    Args:
        held_out: the ships that a run held out, see `lasting_held_out`; at least two.
        seed: of the order (`split_seed`).
    """
    ships = _by_hash(held_out, seed)
    halves = {"choice": ships[0::2], "comparison": ships[1::2]}
    part = frozenset(halves[purpose])
    note = (
        f"{len(halves['choice'])} of {len(ships)} held-out ships choose the checkpoint, "
        f"{len(halves['comparison'])} compare it with the older encoder"
    )
    return HeldOutPart(part, note)


def _by_hash(ships: Iterable[int], seed: int) -> list[int]:
    """Return ships in an order that each ship's own hash determines."""
    return sorted(ships, key=lambda ship: hashlib.sha256(f"{seed} {ship}".encode()).digest())


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
