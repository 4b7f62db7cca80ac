"""Run the demo: start a service, enrol a small fleet, identify SAR chips, all over HTTP."""

import signal
import tempfile
from collections.abc import Iterator, Sequence
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
from service.client.demo.local_service import LocalService
from service.client.demo.sheet import demo_sheet
from service.client.demo.truth import CheckedAnswer, compare_with_truth, summary
from service.client.demo.voyages import invent_voyages, invented_facts
from service.client.enrol import EnrolReport, enrol_fleet
from service.client.errors import LocalServiceError, SourceError, UnreachableError
from service.client.fleet.hoss_folder import HossFolder, NamedChip, read_hoss_folder
from service.client.fleet.vessels import Fleet, vessel_id
from service.client.match import QueryChip, match_files
from service.client.remote.client import Client
from service.client.tables import VERDICT_SHORT, candidate_cell, console, progress_bar, show_report
from service.contract.chip import DEFAULT_GSD_M, Modality

SHIPPED_FLEET = (Path(__file__).parents[2] / "shipped" / "fleet").resolve()
SHIPPED_NAME = "simulated-demo-fleet"
SHEET_NAME = "contact-sheet.png"
TOP_K = 5
WORKERS = 4
SHOWN_VESSELS = 3
WIDE, FIXED_COLUMNS, CANDIDATE_COLUMN = 105, 73, 24  # characters of the terminal
SHEET_ROWS = 40
_COLOURS = {"good": "green", "unsure": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of `crossfix demo`; None stands for the default that its help names."""

    chips: Path | None = None
    data_dir: Path | None = None
    out: Path = Path("demo-output")
    port: int | None = None
    bundle: Path | None = None
    device: str | None = None
    once: bool = False


def run_demo(options: DemoOptions) -> int:
    """Run the demo and keep the service running until Ctrl-C unless `options.once`.

    Returns:
        The exit status: 1 when the service refused a chip.

    Raises:
        SourceError: the chips cannot be used.
        LocalServiceError: the service did not start or died.
    """
    signal.signal(signal.SIGTERM, _exit_on_signal)  # so that the service is stopped as well
    on = console()
    folder, fleet, queries = _read(options)
    _introduce(on, options, fleet, queries)
    with ExitStack() as stack:
        data_dir = options.data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="crossfix-demo-"))
        )
        service = stack.enter_context(
            LocalService(data_dir, port=options.port, bundle=options.bundle, device=options.device)
        )
        client = stack.enter_context(Client(service.url))
        with _report_death(service):
            _wait_ready(on, service, client)
            report = _enrol(on, client, fleet)
            invented = options.chips is None
            answers = _match(on, client, folder, queries, report, invented)
            _show(on, client, options, fleet, answers)
        refused = len(report.refused) + len(queries) - len(answers)
        if not options.once:
            _keep_running(on, service)
    return 1 if refused else 0


def _read(options: DemoOptions) -> tuple[HossFolder, Fleet, list[NamedChip]]:
    """Read the folder, its optical chips as a fleet to enrol, and its SAR chips to identify."""
    if options.chips is None and not SHIPPED_FLEET.is_dir():
        raise SourceError(
            f"the demo's fleet {SHIPPED_FLEET} is missing; install Crossfix from a checkout or a "
            "wheel, or give a folder in HOSS layout with --chips"
        )
    name = SHIPPED_NAME if options.chips is None else None
    folder = read_hoss_folder(options.chips or SHIPPED_FLEET, name)
    queries = [chip for chip in folder.chips if chip.name.modality is Modality.SAR]
    if not queries:
        raise SourceError(f"{options.chips} holds no SAR chips to identify (named …_SAR.tif)")
    gsd_m = DEFAULT_GSD_M[Modality.OPTICAL] if options.chips is None else None  # rendered so
    fleet = folder.fleet({Modality.OPTICAL}, gsd_m)
    return folder, invent_voyages(fleet) if options.chips is None else fleet, queries


def _introduce(
    on: Console, options: DemoOptions, fleet: Fleet, queries: Sequence[NamedChip]
) -> None:
    on.rule("[bold]Crossfix: which known vessel does this SAR chip show?[/]")
    if options.chips is None:
        on.print(
            "The demo's chips are [bold]SIMULATED[/]: no satellite took them, no such ship exists; "
            "places and times are invented."
        )
    else:
        on.print(f"Chips: {escape(str(options.chips))}")
    on.print(
        f"To enrol: {fleet.chips} optical chips of {len(fleet.vessels)} vessels. "
        f"To identify: {len(queries)} SAR chips."
    )
    for note in fleet.notes:
        on.print(note, style="dim", markup=False)


def _wait_ready(on: Console, service: LocalService, client: Client) -> None:
    with on.status("starting the service"):
        seconds = service.wait_ready(client)
    card = client.bundle()
    manifest = card.manifest
    on.print(
        f"Service ready after {seconds:.1f} s on {escape(card.device)}, models "
        f"{escape(str(manifest['name']))}, taught on "
        f"{escape(str(manifest['training']['domain']))} data"
    )


def _enrol(on: Console, client: Client, fleet: Fleet) -> EnrolReport:
    with progress_bar(on, "enrolling", fleet.chips) as (_, advance):
        report = enrol_fleet(client, fleet, advance=advance)
    if report.stopped:
        raise KeyboardInterrupt
    show_report(on, report)
    return report


def _match(
    on: Console,
    client: Client,
    folder: HossFolder,
    queries: Sequence[NamedChip],
    report: EnrolReport,
    invented: bool,
) -> list[CheckedAnswer]:
    """Match every query; print those that are refused and leave them out.

    Queries of the shipped fleet are sent with `invented` places and times.
    """
    answers = []
    with progress_bar(on, "matching", len(queries)) as (_, advance):
        asked = [
            QueryChip(chip.path, invented_facts(chip.key) if invented else {}) for chip in queries
        ]
        results = match_files(client, asked, {"top_k": TOP_K}, workers=WORKERS, advance=advance)
        for chip, result in zip(queries, results, strict=True):
            if result.answer is None:
                on.print(f"refused {chip.path.name}: {result.problem}", style="red", markup=False)
                continue
            true_id = vessel_id(folder.dataset, chip.key)
            enrolled = true_id in report.enrolled and not chip.name.is_distractor
            outcome = compare_with_truth(result.answer, true_id if enrolled else None)
            answers.append(CheckedAnswer(chip, result.answer, outcome))
    return answers


def _show(
    on: Console,
    client: Client,
    options: DemoOptions,
    fleet: Fleet,
    answers: Sequence[CheckedAnswer],
) -> None:
    """Print table and summary, and write the contact sheet."""
    if not answers:
        return
    on.print(_table(answers, fleet, on.width))
    sentences = summary([(checked.answer, checked.outcome) for checked in answers], TOP_K)
    for sentence in sentences:
        on.print(sentence)
    kind = "SIMULATED chips" if options.chips is None else fleet.dataset
    path = (options.out / SHEET_NAME).resolve()
    with on.status("drawing the contact sheet"):
        write_sheet(demo_sheet(client, kind, answers[:SHEET_ROWS], sentences, TOP_K), path)
    part = f" (the first {SHEET_ROWS} queries)" if len(answers) > SHEET_ROWS else ""
    on.print(f"Contact sheet{part}: {path}", soft_wrap=True, markup=False)


def _table(answers: Sequence[CheckedAnswer], fleet: Fleet, width: int) -> Table:
    """Return the ranked vessels of each query, as many as fit into the terminal's width."""
    shown = max(1, min(SHOWN_VESSELS, (width - FIXED_COLUMNS) // CANDIDATE_COLUMN))
    labels = {vessel.id: vessel.label for vessel in fleet.vessels}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("SAR chip", no_wrap=True)
    for rank in range(1, shown + 1):
        table.add_column(f"{rank}.", no_wrap=True, overflow="ellipsis")
    table.add_column("none", no_wrap=True, justify="right")
    table.add_column("verdict", no_wrap=True)
    table.add_column("result", no_wrap=True)
    if width >= WIDE:
        table.add_column("true vessel", no_wrap=True, overflow="ellipsis")
    for checked in answers:
        true_id = checked.outcome.true_id
        shows = "a ship not enrolled" if true_id is None else labels[true_id]
        ranked = [
            candidate_cell(checked.answer.candidates, index, true_id) for index in range(shown)
        ]
        colour = _COLOURS[checked.outcome.tone]
        table.add_row(
            escape(checked.chip.path.stem),
            *ranked,
            checked.answer.none_percent,
            VERDICT_SHORT[checked.answer.verdict],
            f"[{colour}]{checked.outcome.text}[/]",
            *([escape(shows)] if width >= WIDE else []),
        )
    return table


def _keep_running(on: Console, service: LocalService) -> None:
    """Wait until Ctrl-C, or until the service ends by itself."""
    on.print(
        f"\nThe API is described at [bold]{service.url}/docs[/]. Ctrl-C ends the service.\n"
        f"Open the desk with these matches: [bold]{service.url}/[/]"
    )
    try:
        status = service.wait()
    except KeyboardInterrupt:
        on.print("stopping")
        return
    if status:
        raise LocalServiceError(f"the service ended with status {status}:\n{service.last_lines()}")


@contextmanager
def _report_death(service: LocalService) -> Iterator[None]:
    """Replace UnreachableError by LocalServiceError when the service has died."""
    try:
        yield
    except UnreachableError as error:
        if service.has_ended:
            raise LocalServiceError(f"the service died:\n{service.last_lines()}") from error
        raise


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
