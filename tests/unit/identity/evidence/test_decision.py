"""The verdict of a ranking, by the size of the gallery and by what a bundle may claim."""

import pytest

from service.contract.weighing.specs import VerdictPoint
from service.identity.evidence.decision import judge
from service.identity.evidence.wording import RankedVessel, Ranking
from service.identity.records.matches import KinematicsCheck, Verdict
from service.identity.records.sightings import VesselHit
from tests.support.fakes.records import make_sighting, make_vessel
from tests.support.use_cases import CALIBRATION

MEASURED = CALIBRATION.model_copy(
    update={
        "verdicts": (
            VerdictPoint(
                verdict="likely",
                gallery_vessels=1000,
                threshold=0.55,
                right=0.8,
                right_low=0.75,
                right_high=0.85,
                answers=400,
                measured_on="invented ships",
            ),
        )
    }
)


def candidate(
    name: str, probability: float, feasible: bool | None = None, **evidence: float
) -> RankedVessel:
    vessel = make_vessel(name=name)
    voyage = None
    if feasible is not None:
        voyage = KinematicsCheck(
            distance_nm=100,
            hours=1,
            required_kn=100,
            feasible=feasible,
            max_speed_kn=30,
            usual_kn=None,
            slack_nm=1,
        )
    hit = VesselHit(vessel, [make_sighting(vessel)], 0.9)
    return RankedVessel(hit, evidence, voyage, probability)


def ranking(none: float, *candidates: RankedVessel) -> Ranking:
    return Ranking(candidates, none)


@pytest.mark.parametrize(
    ("vessels", "probability", "expected"),
    [
        (1000, 0.9, Verdict.CONFIDENT),
        (1000, 0.89, Verdict.LIKELY),
        (1001, 0.99, Verdict.LIKELY),
        (10, 0.1, Verdict.NO_MATCH),
    ],
)
def test_the_threshold_is_that_of_the_gallery_size(
    vessels: int, probability: float, expected: Verdict
) -> None:
    shown = ranking(1 - probability, candidate("A", probability))
    verdict, explanation = judge(shown, CALIBRATION, vessels, allow_confident=True)
    assert verdict is expected
    assert explanation.compared == 1
    assert explanation.text.startswith(("A, ", "Probably A", "Probably none"))


def test_a_bundle_that_may_not_be_confident_says_so() -> None:
    shown = ranking(0.01, candidate("A", 0.99))
    verdict, explanation = judge(shown, CALIBRATION, 10, allow_confident=False)
    assert verdict is Verdict.LIKELY
    assert "calibrated on simulated ships alone" in explanation.text
    _, allowed = judge(shown, CALIBRATION, 10, allow_confident=True)
    assert "simulated" not in allowed.text


def test_the_measured_rate_is_in_the_answer() -> None:
    shown = ranking(0.4, candidate("A", 0.6))
    _, explanation = judge(shown, MEASURED, 2000, allow_confident=True)
    assert explanation.rate is not None
    assert explanation.rate.right == 0.8
    assert explanation.threshold == 0.55
    assert explanation.text.startswith("Probably A, 60 % in this answer: ")
    rate = "In 80 % of all 400 answers with this verdict, more and less probable ones, the vessel"
    assert f"{rate} was right" in explanation.text
    assert "1000 vessels, fewer than the 2000 here" in explanation.text
    _, older = judge(shown, CALIBRATION, 2000, allow_confident=True)
    assert older.rate is None
    assert "was not measured for this bundle" in older.text


def test_an_ambiguous_answer_names_the_vessels_and_what_separates_them() -> None:
    a = candidate("A", 0.45, similarity_z=12.0, length_log_ratio=-1.0, none=-9.0)
    b = candidate("B", 0.40, similarity_z=11.0, length_log_ratio=-0.05, none=-9.0)
    verdict, explanation = judge(
        ranking(0.10, a, b, candidate("C", 0.05)), CALIBRATION, 10, allow_confident=True
    )
    assert verdict is Verdict.AMBIGUOUS
    assert explanation.among == (a.vessel.id, b.vessel.id)
    assert not explanation.none_among
    assert explanation.differences == ("A or B: pixels ×2.7 for A, length ×2.6 for B",)
    assert explanation.text.startswith("A (45 %) or B (40 %): compare these.")


def test_none_of_them_is_named_among_the_possibilities() -> None:
    verdict, explanation = judge(
        ranking(0.5, candidate("A", 0.45), candidate("B", 0.05)), CALIBRATION, 10, True
    )
    assert verdict is Verdict.AMBIGUOUS
    assert explanation.none_among
    assert explanation.text.startswith("None of them (50 %) or A (45 %)")


def test_a_single_possibility_that_is_not_sure_is_named_alone() -> None:
    (likely,) = MEASURED.verdicts
    points = [
        likely.model_copy(update={"verdict": verdict, "threshold": threshold})
        for verdict, threshold in (("likely", 0.5), ("ambiguous", 0.7), ("no_match", 0.85))
    ]
    calibration = CALIBRATION.model_copy(update={"verdicts": tuple(points)})
    few = [candidate(f"SHIP {n}", 0.04) for n in range(5)]
    verdict, explanation = judge(ranking(0.8, *few), calibration, 10, allow_confident=True)
    assert verdict is Verdict.AMBIGUOUS
    assert (explanation.among, explanation.none_among) == ((), True)
    assert explanation.text.startswith("Most probably none of them (80 %), but not surely:")


def test_probability_that_is_spread_thin_is_unclear() -> None:
    many = [candidate(f"SHIP {n}", 0.09) for n in range(10)]
    verdict, explanation = judge(ranking(0.1, *many), CALIBRATION, 10, allow_confident=True)
    assert verdict is Verdict.UNCLEAR
    assert explanation.text.startswith("The chip cannot tell")
    assert explanation.threshold is None


def test_an_empty_ranking_is_not_judged() -> None:
    verdict, explanation = judge(Ranking((), None), CALIBRATION, 0, allow_confident=True)
    assert verdict is Verdict.NO_MATCH
    assert explanation.compared == 0
    assert explanation.rate is None
    assert explanation.text.startswith("Nothing was compared")


@pytest.mark.parametrize(
    ("none", "probabilities", "expected"),
    [
        (0.1, [0.9], Verdict.LIKELY),
        (0.1, [0.45, 0.45], Verdict.UNCLEAR),
        (0.95, [0.05], Verdict.UNCLEAR),
    ],
)
def test_a_bad_chip_rules_nothing_out(
    none: float, probabilities: list[float], expected: Verdict
) -> None:
    shown = ranking(none, *(candidate(f"SHIP {p}", p) for p in probabilities))
    verdict, explanation = judge(
        shown, CALIBRATION, 10, allow_confident=True, defects=("The ship is cut off.",)
    )
    assert verdict is expected
    assert explanation.among == ()
    assert explanation.text.startswith("The ship is cut off.")
