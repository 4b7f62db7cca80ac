import pytest

from model_training.data.holdout import HoldoutError, held_out_vessels
from service.contract.chip import Modality


def seen(both: int, optical_only: int = 0) -> list[tuple[int, Modality]]:
    chips = [(vessel, modality) for vessel in range(both) for modality in Modality]
    return chips + [(both + i, Modality.OPTICAL) for i in range(optical_only)]


def test_a_share_of_the_ships_that_both_sensors_have_seen() -> None:
    held = held_out_vessels(seen(20, optical_only=30), 0.25, seed=0)
    assert len(held) == 5
    assert held < set(range(20))


def test_the_order_of_the_chips_does_not_matter_and_the_seed_does() -> None:
    chips = seen(40)
    held = held_out_vessels(chips, 0.25, seed=0)
    assert held_out_vessels(chips[::-1], 0.25, seed=0) == held
    assert held_out_vessels(chips, 0.25, seed=1) != held


def test_two_are_held_out_at_least_and_two_are_left() -> None:
    assert len(held_out_vessels(seen(4), 0.01, seed=0)) == 2
    with pytest.raises(HoldoutError, match="only 3 ships"):
        held_out_vessels(seen(3, optical_only=10), 0.01, seed=0)
