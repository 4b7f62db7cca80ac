"""The verdict of a ranking, by the size of the gallery and by what a bundle may claim."""

import pytest

from service.identity.evidence.decision import Ranking, decide
from service.identity.records.matches import (
    Candidate,
    Checks,
    KinematicsCheck,
    LengthCheck,
    Verdict,
)
from tests.support.fakes.records import make_sighting, make_vessel
from tests.support.use_cases import CALIBRATION


def ranking(probability: float, none: float, feasible: bool | None = None) -> Ranking:
    vessel = make_vessel()
    voyage = None
    if feasible is not None:
        voyage = KinematicsCheck(distance_nm=100, hours=1, required_kn=100, feasible=feasible)
    checks = Checks(length=LengthCheck(query_m=100, vessel_m=100, ok=True), kinematics=voyage)
    candidate = Candidate(
        rank=1,
        probability=probability,
        similarity=0.9,
        evidence={},
        vessel=vessel,
        sighting=make_sighting(vessel),
        checks=checks,
    )
    return Ranking((candidate,), none)


@pytest.mark.parametrize(
    ("vessels", "probability", "expected"),
    [
        (1000, 0.9, Verdict.CONFIDENT),
        (1000, 0.89, Verdict.AMBIGUOUS),
        (1001, 0.99, Verdict.AMBIGUOUS),
        (10, 0.1, Verdict.NO_MATCH),
    ],
)
def test_the_threshold_is_that_of_the_gallery_size(
    vessels: int, probability: float, expected: Verdict
) -> None:
    shown = ranking(probability, 1 - probability)
    assert decide(shown, CALIBRATION, vessels, allow_confident=True) is expected


def test_a_bundle_that_may_not_be_confident_is_ambiguous_instead() -> None:
    assert decide(ranking(0.99, 0.01), CALIBRATION, 10, allow_confident=False) is Verdict.AMBIGUOUS


def test_an_impossible_voyage_is_not_confident() -> None:
    verdicts = [
        decide(ranking(0.99, 0.01, feasible), CALIBRATION, 10, allow_confident=True)
        for feasible in (True, False)
    ]
    assert verdicts == [Verdict.CONFIDENT, Verdict.AMBIGUOUS]


def test_an_empty_ranking_is_no_match() -> None:
    assert decide(Ranking((), 1.0), CALIBRATION, 0, allow_confident=True) is Verdict.NO_MATCH
