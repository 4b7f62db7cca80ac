import pytest

from service.client.answers import read_answer
from service.client.demo.truth import compare_with_truth, summary, tally
from service.client.errors import UnreachableError
from tests.support.answers import answer, body


@pytest.mark.parametrize(
    ("verdict", "true_id", "rank", "text", "tone"),
    [
        ("confident", "a", 1, "right", "good"),
        ("ambiguous", "a", 1, "right, unsure", "good"),
        ("no_match", "a", 1, "missed, is number 1", "bad"),
        ("confident", "c", 3, "wrong, is number 3", "bad"),
        ("ambiguous", "b", 2, "unsure, is number 2", "unsure"),
        ("no_match", "z", None, "missed, is not listed", "bad"),
        ("confident", "z", None, "wrong, is not listed", "bad"),
        ("no_match", None, None, "right, not enrolled", "good"),
        ("ambiguous", None, None, "unsure, not enrolled", "unsure"),
        ("confident", None, None, "wrong, not enrolled", "bad"),
    ],
)
def test_an_answer_is_compared_with_the_true_vessel(
    verdict: str, true_id: str | None, rank: int | None, text: str, tone: str
) -> None:
    outcome = compare_with_truth(answer(verdict, "a", "b", "c"), true_id)
    assert (outcome.true_rank, outcome.text, outcome.tone) == (rank, text, tone)


def test_tally_and_summary() -> None:
    answers = [
        (answer("confident", "a", "b"), "a"),
        (answer("confident", "b", "a"), "a"),
        (answer("no_match", "b", "c"), "b"),
        (answer("ambiguous", "b", "c"), "z"),
        (answer("no_match", "a"), None),
        (answer("confident", "a"), None),
    ]
    counts = tally([(item, compare_with_truth(item, true_id)) for item, true_id in answers])
    assert (counts.enrolled, counts.first, counts.listed, counts.missed) == (4, 2, 3, 1)
    assert (counts.not_enrolled, counts.rejected) == (2, 1)
    assert (counts.confident, counts.confident_right) == (3, 1)
    text = " ".join(summary(counts, 5))
    assert "Of 4 SAR chips of enrolled ships, 2 found their vessel first (R1 50%)" in text
    assert "Of 2 SAR chips of ships that are not enrolled, 1 were" in text
    assert "Of 3 confident answers, 1 were right." in text


def test_no_answers_cause_no_division_by_zero() -> None:
    assert summary(tally([]), 5) == ["Of 0 confident answers, 0 were right."]


def test_an_answer_of_another_version_is_reported() -> None:
    with pytest.raises(UnreachableError, match=r"verdict.*another version"):
        read_answer(body("certain", "a"))
