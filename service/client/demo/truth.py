"""Compare answers with the true vessels, where the data set names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.client.demo.contact_sheet import Tone
from service.client.fleet.hoss_folder import NamedChip
from service.client.remote.models import Match


@dataclass(frozen=True, slots=True)
class Outcome:
    """Comparison of one answer with the true vessel.

    Attributes:
        true_id: id of the vessel that the query shows; None when it is not enrolled.
        true_rank: its rank among the candidates, from 1; None when it is not among them.
        tone: good, unsure or bad.
    """

    true_id: UUID | None
    true_rank: int | None
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One query: its chip, the answer, and its comparison with the true vessel."""

    chip: NamedChip
    answer: Match
    outcome: Outcome


def compare_with_truth(answer: Match, true_id: UUID | None) -> Outcome:
    """Compare an answer with the vessel that the query shows; `true_id` None: not enrolled."""
    if true_id is None:
        return Outcome(None, None, *_outcome_not_enrolled(answer))
    ranks = [c.rank for c in answer.candidates if c.vessel.id == true_id]
    rank = ranks[0] if ranks else None
    return Outcome(true_id, rank, *_outcome_enrolled(answer, rank))


def _outcome_not_enrolled(answer: Match) -> tuple[str, Tone]:
    match answer.verdict:
        case "no_match":
            return "right, not enrolled", "good"
        case "ambiguous" | "unclear":
            return "unsure, not enrolled", "unsure"
        case "confident" | "likely":
            return "wrong, not enrolled", "bad"


def _outcome_enrolled(answer: Match, rank: int | None) -> tuple[str, Tone]:
    position = "is not listed" if rank is None else f"is number {rank}"
    match answer.verdict, rank:
        case "no_match", _:
            return f"missed, {position}", "bad"
        case "confident" | "likely", 1:
            return "right", "good"
        case "ambiguous" | "unclear", 1:
            return "right, but unsure", "good"
        case "confident" | "likely", _:
            return f"wrong, {position}", "bad"
        case _:
            return f"unsure, {position}", "unsure"


def summary(compared: Sequence[tuple[Match, Outcome]], top_k: int) -> list[str]:
    """Summarise compared answers in sentences; ranks count whatever the verdict."""
    enrolled = [(answer, outcome) for answer, outcome in compared if outcome.true_id is not None]
    not_enrolled = [answer for answer, outcome in compared if outcome.true_id is None]
    confident = [outcome for answer, outcome in compared if answer.verdict == "confident"]
    lines = []
    if enrolled:
        first = sum(outcome.true_rank == 1 for _, outcome in enrolled)
        listed = sum(outcome.true_rank is not None for _, outcome in enrolled)
        missed = sum(answer.verdict == "no_match" for answer, _ in enrolled)
        lines.append(
            f"SAR chips of enrolled ships: {len(enrolled)}. Their vessel came first for {first} "
            f"({first / len(enrolled):.0%}), among the first {top_k} for {listed}. Wrongly "
            f"answered 'no match': {missed}."
        )
    if not_enrolled:
        rejected = sum(answer.verdict == "no_match" for answer in not_enrolled)
        lines.append(
            f"SAR chips of ships that are not enrolled: {len(not_enrolled)}. Rightly answered "
            f"'no match': {rejected}."
        )
    right = sum(outcome.true_rank == 1 for outcome in confident)
    lines.append(f"Answers that are 'confident': {len(confident)}. Right: {right}.")
    return lines
