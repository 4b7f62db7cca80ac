"""The demo: a service of one's own, a small fleet, and SAR chips to identify.

Everything goes over HTTP, as a user would do it.
"""

import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client.demo.contact_sheet import write_sheet
from service.client.demo.local_service import LocalService, free_port
from service.client.demo.sheet import demo_sheet
from service.client.demo.truth import CheckedAnswer, judge, summary, tally
from service.client.enrol import EnrolReport, enrol_fleet
from service.client.errors import LocalServiceError, SourceError, UnreachableError
from service.client.fleet.hoss_folder import HossFolder, NamedChip, read_hoss_folder
from service.client.fleet.vessels import Fleet, vessel_id
from service.client.http import CrossfixClient
from service.client.match import ask
from service.client.tables import (
    VERDICT_SHORT,
    candidate_cell,
    console,
    progress_bar,
    show_report,
)
from service.contract.chip import Modality

SHIPPED_FLEET = (Path(__file__).parents[2] / "shipped" / "fleet").resolve()
SHIPPED_NAME = "simulated-demo-fleet"
SHEET_NAME = "contact-sheet.png"
TOP_K = 5
WORKERS = 4
SHOWN_VESSELS = 3
WIDE, FIXED_COLUMNS, CANDIDATE_COLUMN = 100, 68, 24
SHEET_ROWS = 40
_COLOURS = {"good": "green", "unsure": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to show.

    Attributes:
        chips: a folder in HOSS layout; None: the shipped fleet of simulated chips.
        data_dir: where gallery and chips are kept; None: a temporary folder.
        out: folder of the contact sheet.
        port: of the service; None: the default one, or any free one.
        bundle: the models; None: the settings' or the shipped ones.
        device: where they run; None: as the settings say.
        once: end after the table.
    """

    chips: Path | None = None
    data_dir: Path | None = None
    out: Path = Path("demo-output")
    port: int | None = None
    bundle: Path | None = None
    device: str | None = None
    once: bool = False


def run_demo(plan: DemoPlan) -> int:
    """Show it, and keep the service running until Ctrl-C unless `plan.once`.

    Returns:
        the exit status: 1 when the service refused something.

    Raises:
        SourceError: the chips cannot be used.
        LocalServiceError: the service did not come up or died.
    """
    signal.signal(signal.SIGTERM, _leave)  # so that the service is stopped as well
    on = console()
    folder, fleet, queries = _read(plan)
    _introduce(on, plan, fleet, queries)
    with ExitStack() as stack:
        data_dir = plan.data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="crossfix-demo-"))
        )
        service = stack.enter_context(
            LocalService(
                data_dir,
                port=free_port() if plan.port is None else plan.port,
                bundle=plan.bundle,
                device=plan.device,
            )
        )
        client = stack.enter_context(CrossfixClient(service.url))
        with _blaming(service):
            _await_service(on, service, client)
            report = _enrol(on, client, fleet)
            answers = _match(on, client, folder, queries, report)
            _show(on, client, plan, fleet, answers)
        refused = len(report.refused) + len(queries) - len(answers)
        if not plan.once:
            _stay(on, service)
    return 1 if refused else 0


def _read(plan: DemoPlan) -> tuple[HossFolder, Fleet, list[NamedChip]]:
    """The chips: optical ones to enrol, SAR ones to ask about."""
    if plan.chips is None and not SHIPPED_FLEET.is_dir():
        raise SourceError(
            f"the demo's fleet {SHIPPED_FLEET} is not there; run the demo from a checkout of the "
            "repository, or give a folder in HOSS layout with --chips"
        )
    place, name = (SHIPPED_FLEET, SHIPPED_NAME) if plan.chips is None else (plan.chips, None)
    folder = read_hoss_folder(place, name)
    queries = [chip for chip in folder.chips if chip.said.modality is Modality.SAR]
    if not queries:
        raise SourceError(f"{place} holds no SAR chips to ask about (named …_SAR.tif)")
    return folder, folder.fleet({Modality.OPTICAL}), queries


def _introduce(on: Console, plan: DemoPlan, fleet: Fleet, queries: Sequence[NamedChip]) -> None:
    on.rule("[bold]Crossfix: which known vessel does this SAR chip show?[/]")
    if plan.chips is None:
        on.print(
            "The demo's chips are [bold]SIMULATED[/]: no satellite took them, no such ship is."
        )
    else:
        on.print(f"Chips: {escape(str(plan.chips))}")
    on.print(
        f"To enrol: {fleet.chips} optical chips of {len(fleet.vessels)} vessels. "
        f"To identify: {len(queries)} SAR chips."
    )
    for note in fleet.notes:
        on.print(note, style="dim", markup=False)


def _await_service(on: Console, service: LocalService, client: CrossfixClient) -> None:
    with on.status("starting the service"):
        seconds = service.wait_ready(client)
    card = client.bundle()
    manifest = card["manifest"]
    on.print(
        f"Service ready after {seconds:.1f} s on {escape(str(card['device']))}, models "
        f"{escape(str(manifest['name']))}, taught on "
        f"{escape(str(manifest['training']['domain']))} data"
    )


def _enrol(on: Console, client: CrossfixClient, fleet: Fleet) -> EnrolReport:
    with progress_bar(on) as progress:
        task = progress.add_task("enrolling", total=fleet.chips)
        report = enrol_fleet(
            client, fleet, workers=WORKERS, advance=lambda chips: progress.advance(task, chips)
        )
    if report.stopped:
        raise KeyboardInterrupt
    show_report(on, report)
    return report


def _match(
    on: Console,
    client: CrossfixClient,
    folder: HossFolder,
    queries: Sequence[NamedChip],
    report: EnrolReport,
) -> list[CheckedAnswer]:
    """Ask about every query; those that are refused are told and left out."""
    answers = []
    with progress_bar(on) as progress, ThreadPoolExecutor(WORKERS) as pool:
        task = progress.add_task("matching", total=len(queries))
        asking = pool.map(lambda chip: ask(client, chip.path, {"top_k": TOP_K}), queries)
        for chip, asked in zip(queries, asking, strict=True):
            progress.advance(task)
            if asked.answer is None:
                on.print(f"refused {chip.path.name}: {asked.problem}", style="red", markup=False)
                continue
            identity = vessel_id(folder.dataset, chip.key)
            enrolled = identity in report.enrolled and not chip.said.is_distractor
            judgement = judge(asked.answer, str(identity) if enrolled else None)
            answers.append(CheckedAnswer(chip, asked.answer, judgement))
    return answers


def _show(
    on: Console,
    client: CrossfixClient,
    plan: DemoPlan,
    fleet: Fleet,
    answers: Sequence[CheckedAnswer],
) -> None:
    """Table, summary and contact sheet."""
    if not answers:
        return
    on.print(_table(answers, fleet, on.width))
    sentences = summary(tally([(one.answer, one.judgement) for one in answers]), TOP_K)
    for sentence in sentences:
        on.print(sentence)
    kind = "SIMULATED chips" if plan.chips is None else fleet.dataset
    path = (plan.out / SHEET_NAME).resolve()
    with on.status("drawing the contact sheet"):
        write_sheet(demo_sheet(client, kind, answers[:SHEET_ROWS], sentences, TOP_K), path)
    of_all = f" (the first {SHEET_ROWS} queries)" if len(answers) > SHEET_ROWS else ""
    on.print(f"Contact sheet{of_all}: {path}", soft_wrap=True, markup=False)


def _table(answers: Sequence[CheckedAnswer], fleet: Fleet, width: int) -> Table:
    """Ranked vessels of each query; as many as a terminal of this width has room for."""
    shown = max(1, min(SHOWN_VESSELS, (width - FIXED_COLUMNS) // CANDIDATE_COLUMN))
    labels = {str(vessel.id): vessel.label for vessel in fleet.vessels}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("SAR chip", no_wrap=True)
    for place in range(shown):
        table.add_column(f"{place + 1}.", no_wrap=True, overflow="ellipsis")
    table.add_column("verdict", no_wrap=True)
    table.add_column("against the truth", no_wrap=True)
    if width >= WIDE:
        table.add_column("shows", no_wrap=True, overflow="ellipsis")
    for one in answers:
        true_id = one.judgement.true_id
        shows = "a ship not enrolled" if true_id is None else labels[true_id]
        ranked = [candidate_cell(one.answer.candidates, place, true_id) for place in range(shown)]
        colour = _COLOURS[one.judgement.tone]
        table.add_row(
            escape(one.chip.path.stem),
            *ranked,
            VERDICT_SHORT[one.answer.verdict],
            f"[{colour}]{one.judgement.text}[/]",
            *([escape(shows)] if width >= WIDE else []),
        )
    return table


def _stay(on: Console, service: LocalService) -> None:
    """Until Ctrl-C."""
    on.print(
        f"\nThe service runs at [bold]{service.url}[/], its API is described at "
        f"[bold]{service.url}/docs[/]. Ctrl-C ends it."
    )
    try:
        status = service.wait()
    except KeyboardInterrupt:
        on.print("stopping")
        return
    if status:
        raise LocalServiceError(f"the service ended with status {status}:\n{service.last_lines()}")


@contextmanager
def _blaming(service: LocalService) -> Iterator[None]:
    """Tell a service that died from one that cannot be reached."""
    try:
        yield
    except UnreachableError as error:
        if service.has_ended:
            raise LocalServiceError(f"the service died:\n{service.last_lines()}") from error
        raise


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
