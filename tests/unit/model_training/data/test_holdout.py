"""Which ships are held out for validation."""

from typing import get_args

import pytest

from model_training.calibration.trials import MIN_VESSELS
from model_training.data.holdout import (
    MIN_PART,
    HoldoutError,
    Purpose,
    archive_part,
    held_out_part,
    held_out_vessels,
    lasting_held_out,
)
from service.contract.chip import Modality


def chips_of(both: int, optical_only: int = 0) -> list[tuple[int, Modality]]:
    chips = [(vessel, modality) for vessel in range(both) for modality in Modality]
    return chips + [(both + i, Modality.OPTICAL) for i in range(optical_only)]


def test_a_share_of_the_ships_with_chips_of_both_sensors_is_held_out() -> None:
    held_out = held_out_vessels(chips_of(20, optical_only=30), 0.25, seed=0)
    assert len(held_out) == 5
    assert held_out < set(range(20))


def test_ships_stay_held_out_when_others_come() -> None:
    before = lasting_held_out(chips_of(40), 0.25, seed=0)
    after = lasting_held_out(chips_of(80), 0.25, seed=0)
    assert (len(before), len(after)) == (10, 20)
    assert len(before & after) >= 8
    assert lasting_held_out(chips_of(40), 0.25, seed=1) != before


def test_other_ships_compare_than_choose_however_few_there_are() -> None:
    for ships in (2, 5, 40):
        choice, comparison = (
            archive_part(range(ships), purpose, seed=0) for purpose in ("choice", "comparison")
        )
        assert not choice.vessels & comparison.vessels
        assert choice.vessels | comparison.vessels == set(range(ships))
        assert len(choice.vessels) - len(comparison.vessels) in (0, 1)
        assert f"{len(comparison.vessels)} compare it" in choice.note


def test_the_order_of_the_chips_does_not_matter_and_the_seed_does() -> None:
    chips = chips_of(40)
    held_out = held_out_vessels(chips, 0.25, seed=0)
    assert held_out_vessels(chips[::-1], 0.25, seed=0) == held_out
    assert held_out_vessels(chips, 0.25, seed=1) != held_out


def test_at_least_two_ships_are_held_out_and_two_remain() -> None:
    assert len(held_out_vessels(chips_of(4), 0.01, seed=0)) == 2
    with pytest.raises(HoldoutError, match="only 3 ships"):
        held_out_vessels(chips_of(3, optical_only=10), 0.01, seed=0)


def parts(ships: int) -> dict[Purpose, frozenset[int]]:
    return {p: held_out_part(range(ships), p, seed=3).vessels for p in get_args(Purpose)}


def test_from_60_held_out_ships_on_every_purpose_has_its_own() -> None:
    of = parts(61)
    assert sorted(map(len, of.values())) == [20, 20, 21]
    assert frozenset().union(*of.values()) == frozenset(range(61))
    note = held_out_part(range(61), "calibration", seed=3).note
    assert note == "20 of 61 held-out ships calibrate; they serve nothing else"


def test_from_40_on_calibration_has_its_own_and_below_all_share_and_the_note_says_so() -> None:
    of = parts(59)
    assert of["choice"] == of["fusion"]
    assert not of["choice"] & of["calibration"]
    assert of["choice"] | of["calibration"] == frozenset(range(59))
    assert set(parts(39).values()) == {frozenset(range(39))}
    note = held_out_part(range(39), "fusion", seed=3).note
    assert note.startswith("39 of 39 held-out ships select the fusion; the same ships choose the ")
    assert "checkpoint and calibrate, because there are too few" in note
    assert "at least 60 (data.validation_share)" in note


def test_a_part_suffices_for_calibration_and_depends_on_the_seed_only() -> None:
    assert MIN_PART == MIN_VESSELS
    part = held_out_part(reversed(range(60)), "choice", seed=3).vessels
    assert part == parts(60)["choice"]
    assert part != held_out_part(range(60), "choice", seed=4).vessels
