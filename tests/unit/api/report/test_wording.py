import pytest

from service.api.report.wording import VERDICTS, check_words, percent, term_words
from service.identity.records.matches import (
    Checks,
    EvidenceTerm,
    KinematicsCheck,
    LengthCheck,
    Verdict,
)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.5, "50.0%"), (0.0, "under 0.1%"), (0.00049, "under 0.1%"), (1.0, "over 99.9%")],
)
def test_no_probability_reads_as_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_every_verdict_has_words() -> None:
    assert {verdict.value for verdict in Verdict} <= VERDICTS.keys()


def test_terms_that_say_nothing_share_a_line() -> None:
    words = {"length": "says nothing", "pixels": "speak for it ×3.0", "width": "says nothing"}
    terms = [
        EvidenceTerm(name=name, subject=name, factor=1.0, words=f"{name} {said}")
        for name, said in words.items()
    ]
    assert term_words(terms) == ["pixels speak for it ×3.0", "says nothing: length, width"]
    assert term_words(terms[1:2]) == ["pixels speak for it ×3.0"]


def test_each_check_says_what_it_found_and_its_limit() -> None:
    checks = Checks(
        length=LengthCheck(query_m=200.0, vessel_m=168.0, ok=True, tolerance=0.2),
        width=LengthCheck(query_m=49.0, vessel_m=32.0, ok=False, tolerance=0.15),
        kinematics=KinematicsCheck(
            distance_nm=900.0,
            hours=10.0,
            required_kn=89.9,
            feasible=False,
            max_speed_kn=25.0,
            usual_kn=None,
            slack_nm=1.0,
        ),
    )
    assert check_words(checks) == [
        "length fits within 20%: about 200 m by the chip, 168 m registered",
        "beam differs by more than 15%: about 49 m by the chip, 32 m registered",
        "voyage impossible: 900 nm in 10.0 h needs 89.9 kn; up to 25 kn, and 1 nm of error, count "
        "as possible",
    ]
    assert check_words(Checks()) == []
