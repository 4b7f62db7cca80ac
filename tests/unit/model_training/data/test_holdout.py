"""Which ships are held out for validation."""

import pytest

from model_training.data.holdout import HoldoutError, held_out_vessels
from service.contract.chip import Modality


def chips_of(both: int, optical_only: int = 0) -> list[tuple[int, Modality]]:
    chips = [(vessel, modality) for vessel in range(both) for modality in Modality]
    return chips + [(both + i, Modality.OPTICAL) for i in range(optical_only)]


def test_a_share_of_the_ships_with_chips_of_both_sensors_is_held_out() -> None:
    held_out = held_out_vessels(chips_of(20, optical_only=30), 0.25, seed=0)
    assert len(held_out) == 5
    assert held_out < set(range(20))


def test_the_order_of_the_chips_does_not_matter_and_the_seed_does() -> None:
    chips = chips_of(40)
    held_out = held_out_vessels(chips, 0.25, seed=0)
    assert held_out_vessels(chips[::-1], 0.25, seed=0) == held_out
    assert held_out_vessels(chips, 0.25, seed=1) != held_out


def test_at_least_two_ships_are_held_out_and_two_remain() -> None:
    assert len(held_out_vessels(chips_of(4), 0.01, seed=0)) == 2
    with pytest.raises(HoldoutError, match="only 3 ships"):
        held_out_vessels(chips_of(3, optical_only=10), 0.01, seed=0)
