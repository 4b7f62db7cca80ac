"""Choose the ships that a run holds out for validation; training and calibration share it."""

from collections.abc import Iterable

import numpy as np

from service.contract.chip import Modality


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
    sensors: dict[int, set[Modality]] = {}
    for vessel, modality in chips:
        sensors.setdefault(vessel, set()).add(modality)
    both = sorted(vessel for vessel, modalities in sensors.items() if len(modalities) == 2)
    count = max(2, round(share * len(both)))
    if len(both) < count + 2:
        raise HoldoutError(f"only {len(both)} ships have chips of both sensors; at least 4 needed")
    chosen = np.random.default_rng(seed).choice(both, count, replace=False)
    return frozenset(int(vessel) for vessel in chosen)
