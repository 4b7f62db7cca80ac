from uuid import UUID

import pytest

from service.client.demo.truth import compare_with_truth, summary
from service.client.errors import UnreachableError
from service.client.remote.call import validated
from service.client.remote.models import Match
from tests.support.answers import answer, body, ship_id


def _id(name: str | None) -> UUID | None:
    return None if name is None else ship_id(name)


@pytest.mark.parametrize(
    ("verdict", "true_id", "rank", "text", "tone"),
    [
        ("confident", "a", 1, "right", "good"),
        ("ambiguous", "a", 1, "right, but unsure", "good"),
        ("likely", "a", 1, "right", "good"),
        ("unclear", "b", 2, "unsure, is number 2", "unsure"),
        ("no_match", "a", 1, "missed, is number 1", "bad"),
        ("confident", "c", 3, "wrong, is number 3", "bad"),
        ("ambiguous", "b", 2, "unsure, is number 2", "unsure"),
        ("no_match", "z", None, "missed, is not listed", "bad"),
        ("confident", "z", None, "wrong, is not listed", "bad"),
        ("no_match", None, None, "right, not enrolled", "good"),
        ("ambiguous", None, None, "unsure, not enrolled", "unsure"),
        ("unclear", None, None, "unsure, not enrolled", "unsure"),
        ("confident", None, None, "wrong, not enrolled", "bad"),
    ],
)
def test_an_answer_is_compared_with_the_true_vessel(
    verdict: str, true_id: str | None, rank: int | None, text: str, tone: str
) -> None:
    outcome = compare_with_truth(answer(verdict, "a", "b", "c"), _id(true_id))
    assert (outcome.true_rank, outcome.text, outcome.tone) == (rank, text, tone)


def test_the_summary_counts_ranks_and_verdicts() -> None:
    answers = [
        (answer("confident", "a", "b"), "a"),
        (answer("confident", "b", "a"), "a"),
        (answer("no_match", "b", "c"), "b"),
        (answer("ambiguous", "b", "c"), "z"),
        (answer("no_match", "a"), None),
        (answer("confident", "a"), None),
    ]
    lines = summary(
        [(item, compare_with_truth(item, _id(true_id))) for item, true_id in answers], 5
    )
    assert lines == [
        "SAR chips of enrolled ships: 4. Their vessel came first for 2 (50%), among the first 5 "
        "for 3. Wrongly answered 'no match': 1.",
        "SAR chips of ships that are not enrolled: 2. Rightly answered 'no match': 1.",
        "Answers that are 'confident': 3. Right: 1.",
    ]


def test_no_answers_cause_no_division_by_zero() -> None:
    assert summary([], 5) == ["Answers that are 'confident': 0. Right: 0."]


def test_an_answer_of_another_version_is_reported() -> None:
    with pytest.raises(UnreachableError, match=r"verdict.*another version"):
        validated(Match, body("certain", "a"))
