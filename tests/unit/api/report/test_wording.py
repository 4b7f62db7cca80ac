import pytest

from service.api.report.wording import VERDICTS, percent
from service.identity.records.matches import Verdict


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.5, "50.0%"), (0.0, "under 0.1%"), (0.00049, "under 0.1%"), (1.0, "over 99.9%")],
)
def test_no_probability_reads_as_certain(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_every_verdict_has_words() -> None:
    assert {verdict.value for verdict in Verdict} <= VERDICTS.keys()
