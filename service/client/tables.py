"""Print answers and reports in a terminal."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from service.client.enrol import EnrolReport
from service.client.match import ChipResult
from service.client.remote.models import (
    BaseMatch,
    Candidate,
    Checks,
    Framing,
    Match,
    WayRound,
    percent,
)

WIDTH_WITHOUT_TERMINAL = 160
VERDICT_WORDS = {
    "confident": "[bold green]confident[/]: rely on the first vessel",
    "likely": "[bold green]likely[/]: look at the first vessel once",
    "ambiguous": "[bold yellow]ambiguous[/]: compare the vessels that share the probability",
    "no_match": "[bold red]no match[/]: probably none of the vessels compared",
    "unclear": "[bold yellow]unclear[/]: get a better chip",
}
VERDICT_SHORT = {
    "confident": "[green]confident[/]",
    "likely": "[green]likely[/]",
    "ambiguous": "[yellow]ambiguous[/]",
    "no_match": "[red]no match[/]",
    "unclear": "[yellow]unclear[/]",
}


def console(stream: TextIO | None = None) -> Console:
    """Return a console on a stream, standard output by default; wide when it is no terminal."""
    target = stream or sys.stdout
    fixed_width = not target.isatty() and "COLUMNS" not in os.environ
    width = WIDTH_WITHOUT_TERMINAL if fixed_width else None
    return Console(file=target, width=width, highlight=False)


def plain_table(*headings: str | Column, show_header: bool = True) -> Table:
    """Return a table without lines."""
    return Table(*headings, box=None, show_header=show_header, pad_edge=False, padding=(0, 2, 0, 0))


def right(heading: str) -> Column:
    """Return a column of numbers."""
    return Column(heading, justify="right")


@contextmanager
def progress_bar(
    on: Console, label: str, total: int | None
) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show a progress bar with counts and the remaining time.

    Yields:
        A function that raises the total by a count, and one that raises the number done.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=on) as bar:
        task = bar.add_task(label, total=total)

        def expect(count: int) -> None:
            bar.update(task, total=(bar.tasks[0].total or 0) + count)

        yield expect, lambda done: bar.advance(task, done)


def show_report(on: Console, report: EnrolReport) -> None:
    """Print every refusal and the counts of an enrolment."""
    for refusal in report.refused:
        files = ", ".join(refusal.files)
        on.print(f"[red]refused[/] {escape(refusal.vessel)} ({escape(files)}): ", end="")
        on.print(escape(refusal.reason), soft_wrap=True)
    for warning in report.warnings:
        on.print(f"[yellow]warning[/] {escape(warning)}", soft_wrap=True)
    chips = sum(len(refusal.files) for refusal in report.refused)
    on.print(
        f"{report.created} vessels registered, {report.known} known before, "
        f"{report.chips} chips enrolled, {chips} refused, in {report.seconds:.1f} s"
    )
    if report.stopped:
        on.print("[yellow]stopped[/] before all was sent; run the same command again to continue")


def show_results(on: Console, results: Iterable[ChipResult]) -> None:
    """Print several results, see `show_result`."""
    for result in results:
        show_result(on, result)


def show_result(on: Console, result: ChipResult) -> None:
    """Print a chip's ranked vessels and verdict, or why the chip was refused."""
    if result.answer is None:
        on.print(
            f"[red]refused[/] {escape(str(result.path))}: {escape(str(result.problem))}",
            soft_wrap=True,
        )
        return
    show_answer(on, result.path.name, result.answer)


def show_answer(on: Console, name: str, answer: BaseMatch) -> None:
    """Print the match id, the ranked vessels and the verdict under the name of the chip."""
    query = answer.query
    stored = "not stored" if query.sighting_id is None else f"match {answer.match_id}"
    on.print(
        f"[bold]{escape(name)}[/]  {query.modality}, {query.length_m:.0f} m x "
        f"{query.width_m:.0f} m at {query.gsd_m:g} m/pixel{_framing_words(query.framing)}, "
        f"{stored}",
        soft_wrap=True,
    )
    bad, doubtful = query.complaints("bad"), query.complaints("doubtful")
    for complaint in bad:
        on.print(f"  [bold red]bad chip[/] {escape(complaint)}", soft_wrap=True)
    for complaint in doubtful:
        on.print(f"  [yellow]doubtful[/] {escape(complaint)}", soft_wrap=True)
    for warning in query.warnings:
        if warning in bad:
            continue
        on.print(f"  [yellow]note[/] {escape(warning)}", soft_wrap=True)
    on.print(_ranking(answer))
    if answer.candidates and (way := answer.candidates[0].way):
        on.print(f"  [dim]{_way_words(way)}[/]")
    took = f"; {answer.timings_ms.get('total', 0.0):.0f} ms" if isinstance(answer, Match) else ""
    on.print(
        f"  {VERDICT_WORDS[answer.verdict]}  [dim](of {answer.gallery.vessels} vessels; models "
        f"{escape(answer.model.name)}, taught on {escape(answer.model.training_domain)} data"
        f"{took})[/]"
    )
    if answer.explanation is not None:
        for sentence in (answer.explanation.text, *answer.explanation.differences):
            on.print(f"  {escape(sentence)}", soft_wrap=True)
    if answer.scene is not None:
        on.print(f"  {escape(answer.scene.text)}", soft_wrap=True)
    on.print()


def _way_words(way: WayRound) -> str:
    """Say in which way round the first vessel matched."""
    how = "turned by 180°" if way.half_turned else "as it was framed"
    sure = "" if way.certainty is None else f", {percent(way.certainty, 0)} sure"
    return f"compared both ways round: the first vessel matches the chip {how}{sure}"


def _framing_words(framing: Framing | None) -> str:
    """Say how the chip was framed, unless its pixels were used as they were sent."""
    if framing is None or framing.method == "unchanged":
        return ""
    if framing.method == "cropped":
        return ", cut out"
    side = "clockwise" if framing.turned_deg >= 0 else "counter-clockwise"
    return f", turned by {abs(framing.turned_deg):.0f}° {side}"


def _ranking(answer: BaseMatch) -> Table:
    numbers = (right(heading) for heading in ("rank", "probability", "similarity"))
    table = plain_table(*numbers, "vessel", "IMO", "MMSI", "type", "length", "voyage")
    for candidate in answer.candidates:
        vessel = candidate.vessel
        table.add_row(
            str(candidate.rank),
            percent(candidate.probability),
            f"{candidate.similarity:.3f}",
            escape(vessel.label),
            vessel.imo or "",
            vessel.mmsi or "",
            escape(vessel.type or ""),
            *_check_cells(candidate.checks),
        )
    if answer.candidates:
        table.add_row("", answer.none_percent, "", "[dim]none that is enrolled[/]")
    return table


def _check_cells(checks: Checks) -> tuple[str, str]:
    """Format registered length and required voyage; green when plausible, red when not."""
    length = voyage = ""
    if checks.length is not None:
        colour = "green" if checks.length.ok else "red"
        length = f"[{colour}]{checks.length.vessel_m:.0f} m[/]"
    if checks.kinematics is not None:
        trip = checks.kinematics
        colour = "green" if trip.feasible else "red"
        speed = "" if trip.required_kn is None else f" at {trip.required_kn:.1f} kn"
        voyage = f"[{colour}]{trip.distance_nm:.0f} nm in {trip.hours:.1f} h{speed}[/]"
    return length, voyage


def candidate_cell(candidates: Sequence[Candidate], index: int, true_id: UUID | None) -> str:
    """Format a candidate's probability and vessel for a narrow table; the true vessel is green."""
    if index >= len(candidates):
        return ""
    candidate = candidates[index]
    text = f"{percent(candidate.probability, 0):>4} {escape(candidate.vessel.label)}"
    return f"[green]{text}[/]" if candidate.vessel.id == true_id else text
