"""Which ships a run keeps for validation: training and calibration must choose the same ones."""

from collections.abc import Iterable

import numpy as np

from service.contract.chip import Modality


class HoldoutError(Exception):
    """Too few ships have chips of both sensors to keep some of them back."""


def held_out_vessels(
    seen: Iterable[tuple[int, Modality]], share: float, seed: int
) -> frozenset[int]:
    """A share of the ships that both sensors have seen.

    Args:
        seen: ship and sensor of each chip.
        share: of the ships with chips of both sensors; at least 2 are held out.
        seed: of the choice (`split_seed`).

    Raises:
        HoldoutError: fewer than two ships would be left to learn from.
    """
    sensors: dict[int, set[Modality]] = {}
    for vessel, modality in seen:
        sensors.setdefault(vessel, set()).add(modality)
    both = sorted(vessel for vessel, by in sensors.items() if len(by) == 2)
    held = max(2, round(share * len(both)))
    if len(both) < held + 2:
        raise HoldoutError(f"only {len(both)} ships have chips of both sensors; at least 4 needed")
    chosen = np.random.default_rng(seed).choice(both, held, replace=False)
    return frozenset(int(vessel) for vessel in chosen)
