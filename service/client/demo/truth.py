"""Answers against the truth, where a data set tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.client.answers import MatchAnswer
from service.client.demo.contact_sheet import Tone
from service.client.fleet.hoss_folder import NamedChip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one answer compares with the truth.

    Attributes:
        true_id: id of the vessel that the query shows; None when it is not enrolled.
        true_rank: its place among the candidates, from 1; None when it is not among them.
        text: the comparison in a few words.
        tone: good, unsure or bad.
    """

    true_id: str | None
    true_rank: int | None
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """One query: its chip, what was answered, and how that compares with the truth."""

    chip: NamedChip
    answer: MatchAnswer
    judgement: Outcome


def judge(answer: MatchAnswer, true_id: str | None) -> Outcome:
    """Compare an answer with the vessel that the query shows; None when it is not enrolled."""
    if true_id is None:
        return Outcome(None, None, *_of_a_stranger(answer))
    places = [one.rank for one in answer.candidates if one.vessel.id == true_id]
    rank = places[0] if places else None
    return Outcome(true_id, rank, *_of_a_known_ship(answer, rank))


def _of_a_stranger(answer: MatchAnswer) -> tuple[str, Tone]:
    match answer.verdict:
        case "no_match":
            return "right, not enrolled", "good"
        case "ambiguous":
            return "unsure, not enrolled", "unsure"
        case "confident":
            return "wrong, not enrolled", "bad"


def _of_a_known_ship(answer: MatchAnswer, rank: int | None) -> tuple[str, Tone]:
    where = "is not listed" if rank is None else f"is number {rank}"
    match answer.verdict, rank:
        case "no_match", _:
            return f"missed, {where}", "bad"
        case "confident", 1:
            return "right", "good"
        case "ambiguous", 1:
            return "right, unsure", "good"
        case "confident", _:
            return f"wrong, {where}", "bad"
        case _:
            return f"unsure, {where}", "unsure"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over all judged answers.

    Attributes:
        known: queries whose vessel is enrolled.
        first: of these, with the true vessel first, whatever the verdict (R1).
        listed: of these, with the true vessel among the candidates.
        missed: of these, answered "none that I know".
        strangers: queries whose vessel is not enrolled.
        rejected: of these, answered "none that I know".
        confident: answers with this verdict.
        confident_right: of these, with the true vessel first.
    """

    known: int
    first: int
    listed: int
    missed: int
    strangers: int
    rejected: int
    confident: int
    confident_right: int


def tally(judged: Sequence[tuple[MatchAnswer, Outcome]]) -> Tally:
    """Count."""
    known = [(a, j) for a, j in judged if j.true_id is not None]
    strangers = [a for a, j in judged if j.true_id is None]
    confident = [j for a, j in judged if a.verdict == "confident"]
    return Tally(
        known=len(known),
        first=sum(j.true_rank == 1 for _, j in known),
        listed=sum(j.true_rank is not None for _, j in known),
        missed=sum(a.verdict == "no_match" for a, _ in known),
        strangers=len(strangers),
        rejected=sum(a.verdict == "no_match" for a in strangers),
        confident=len(confident),
        confident_right=sum(j.true_rank == 1 for j in confident),
    )


def summary(counts: Tally, top_k: int) -> list[str]:
    """The tally in sentences."""
    lines = []
    if counts.known:
        lines.append(
            f"Of {counts.known} SAR chips of enrolled ships, {counts.first} found their vessel "
            f"first (R1 {counts.first / counts.known:.0%}), {counts.listed} among the first "
            f"{top_k}; {counts.missed} were wrongly answered 'none that I know'."
        )
    if counts.strangers:
        lines.append(
            f"Of {counts.strangers} SAR chips of ships that are not enrolled, {counts.rejected} "
            "were rightly answered 'none that I know'."
        )
    lines.append(f"Of {counts.confident} confident answers, {counts.confident_right} were right.")
    return lines
