import math

import pytest

from service.api.report.wording import VERDICTS, evidence_words, percent
from service.identity.records.matches import Verdict


def test_evidence_reads_as_factors() -> None:
    evidence = {"similarity": math.log(12.2), "length_log_ratio": -math.log(2), "new_term": 0.01}
    assert evidence_words(evidence) == [
        "pixels: for it, ×12",
        "length: against it, ÷2.0",
        "new term: no effect",
    ]
    assert evidence_words({"none": -5000.0}) == ["starting odds: against it, ÷over 1,000,000"]


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.5, "50.0%"), (0.0, "under 0.1%"), (0.00049, "under 0.1%"), (1.0, "over 99.9%")],
)
def test_no_probability_reads_as_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_every_verdict_has_words() -> None:
    assert {verdict.value for verdict in Verdict} <= VERDICTS.keys()
