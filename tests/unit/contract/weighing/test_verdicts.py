"""The verdict of an answer: thresholds by gallery size, and those of older bundles."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.contract.weighing.specs import (
    CalibrationSpec,
    ChoiceSpec,
    ConfidentPoint,
    LogisticSpec,
    VerdictName,
    VerdictPoint,
)
from service.contract.weighing.verdicts import MAX_NAMED, Thresholds, decide, thresholds_of

THRESHOLDS = Thresholds(confident=0.95, likely=0.6, no_match=0.8, ambiguous=0.8)
OLDER = CalibrationSpec(
    match=ChoiceSpec(weights={}, none_bias=0.0, none_log_gallery=0.0),
    verify=LogisticSpec(bias=0.0, weights={}),
    confident=(
        ConfidentPoint(gallery_vessels=100, threshold=0.9, right=1, right_low=0.95, answers=50),
    ),
    confident_from=0.9,
    no_match_below=0.07,
    fitted_on="invented",
)


def point(verdict: VerdictName, vessels: int, threshold: float) -> VerdictPoint:
    return VerdictPoint(
        verdict=verdict,
        gallery_vessels=vessels,
        threshold=threshold,
        right=0.8,
        right_low=0.7,
        right_high=0.9,
        answers=30,
        measured_on="invented",
    )


@pytest.mark.parametrize(
    ("none", "candidates", "expected", "named"),
    [
        (0.04, [0.96], "confident", 0),
        (0.30, [0.70], "likely", 0),
        (0.85, [0.15], "no_match", 0),
        (0.04, [0.48, 0.48], "ambiguous", 2),
        (0.50, [0.40, 0.10], "ambiguous", 2),
        (0.18, [0.21, 0.21, 0.2, 0.2], "ambiguous", 4),
        (0.10, [0.09] * 10, "unclear", 0),
    ],
)
def test_each_verdict(
    none: float, candidates: list[float], expected: VerdictName, named: int
) -> None:
    decided = decide(np.array([[none, *candidates]]), THRESHOLDS)
    assert list(decided.verdicts) == [expected]
    assert decided.named.tolist() == [named]


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=40))
def test_an_ambiguous_answer_names_few_that_hold_enough(weights: list[float]) -> None:
    row = np.array(weights) / np.sum(weights)
    decided = decide(row[None], THRESHOLDS)
    count = int(decided.named[0])
    assert (count > 0) == (decided.verdicts[0] == "ambiguous")
    if count:
        highest = np.sort(row)[::-1]
        assert count <= MAX_NAMED
        assert highest[:count].sum() >= 0.8 - 1e-9
        assert highest[: count - 1].sum() < 0.8


def test_a_missing_threshold_withholds_its_verdict() -> None:
    row = np.array([[0.02, 0.98]])
    never = Thresholds(None, None, None, None)
    assert decide(row, never).verdicts == ["unclear"]


def test_an_older_bundle_keeps_its_own_thresholds() -> None:
    thresholds = thresholds_of(OLDER, 100, allow_confident=True)
    assert thresholds == Thresholds(confident=0.9, no_match_below=0.07)
    assert thresholds_of(OLDER, 101, allow_confident=True).confident is None
    assert thresholds_of(OLDER, 100, allow_confident=False).confident is None
    rows = np.array([[0.9, 0.1, *[0.0] * 19], [0.6, *[0.02] * 20], [0.06, *[0.047] * 20]])
    assert decide(rows, thresholds).verdicts == ["no_match", "no_match", "unclear"]


def test_a_gallery_has_the_thresholds_of_the_next_larger_measured_one() -> None:
    points = (point("likely", 10, 0.5), point("likely", 100, 0.6), point("no_match", 10, 0.7))
    newer = OLDER.model_copy(update={"verdicts": points})
    small, middle, large = (thresholds_of(newer, n, allow_confident=True) for n in (10, 11, 5000))
    assert (small.likely, small.no_match) == (0.5, 0.7)
    assert (middle.likely, middle.no_match) == (0.6, None)
    assert (large.likely, large.confident) == (0.6, None)
    assert small.no_match_below == 0.0
