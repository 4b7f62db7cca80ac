"""Format the results of `crossfix-train`: tables, lines and progress bars."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskProgressColumn, TimeRemainingColumn
from rich.table import Table

from model_training.calibration.both_ways import BothWaysReport
from model_training.calibration.coarse_queries import AtGsd
from model_training.calibration.reliability import Reliability
from model_training.calibration.report import CalibrationReport
from model_training.evaluation.evaluate import Evaluation, named_estimates
from model_training.evaluation.look_alikes import LookAlikeProtocol, LookAlikeResult
from model_training.studies.ablation import AblationRow
from service.contract.weighing.specs import CalibrationSpec

TABLE_WIDTH = 130


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; yield the function that advances it."""
    columns = (*Progress.get_default_columns()[:2], TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def print_table(table: Table) -> None:
    """Print a table at its full width, so that no row wraps in a narrow terminal or a file."""
    Console(width=max(Console().width, TABLE_WIDTH)).print(table)


def evaluation_table(result: Evaluation, data: Path) -> Table:
    """Format each protocol without fusion, with it if the model fuses, and by size alone."""
    table = Table(title=f"{data}: per cent [95 % interval over ships]")
    for heading in ("protocol", "embedding", "mAP", "R1", "R5", "R10", "queries", "gallery"):
        table.add_column(heading)
    for protocol, numbers in result.protocols.items():
        variants = {"with fusion": numbers.served} if result.fuses else {}
        variants |= {"without fusion": numbers.without_fusion, "size only": numbers.size_only}
        for name, part in variants.items():
            estimates = [str(value) for value in named_estimates(part).values()]
            table.add_row(protocol, name, *estimates, str(part.queries), str(part.gallery))
        table.add_section()
    return table


def look_alike_table(results: Mapping[str, Mapping[LookAlikeProtocol, LookAlikeResult]]) -> Table:
    """Build one row per data set and protocol."""
    table = Table(title="look-alikes: per cent [95 % interval over ships]")
    for heading in ("data", "protocol", "mAP", "R1", "mAP by size only", "ships", "gallery"):
        table.add_column(heading)
    for data, protocols in results.items():
        for protocol, result in protocols.items():
            numbers = (result.mean_ap, result.first, result.size_only_ap)
            counts = (str(result.ships), f"{result.gallery:.1f}")
            table.add_row(data, protocol, *map(str, numbers), *counts)
        table.add_section()
    return table


def print_calibration(spec: CalibrationSpec, reports: dict[str, CalibrationReport]) -> None:
    """Print errors and open-set rates of each set of ships, and the verdicts' thresholds."""
    for part, report in reports.items():
        print(f"{part}: {report.ships} ships, {report.searches} searches")
        for label, reliability in (
            ("first candidate", report.first_candidate),
            ("all candidates", report.candidates),
            ("pairs", report.pairs),
            *_further_errors(report).items(),
        ):
            print(f"  ECE {label}: {reliability.ece:.3f}")
        for label, error in (("Brier score", report.brier), ("log loss", report.log_loss)):
            print(f"  {label} first candidate: {error:.3f}")
        for (size, rate), point in report.open_set.items():
            print(
                f"  {size} vessels, {rate:.0%} false identification intended, "
                f"{point.false_identification.value:.1%} found: identification "
                f"{point.identification:.1%}"
            )
    for confident in spec.confident:
        print(
            f"confident from {confident.threshold:.3f} up to {confident.gallery_vessels} vessels: "
            f"{confident.right:.1%} right, at least {confident.right_low:.1%}"
        )
    for rated in spec.verdicts:
        print(
            f"{rated.verdict} from {rated.threshold:.2f} in {rated.gallery_vessels} vessels: "
            f"{rated.right:.1%} [{rated.right_low:.1%}, {rated.right_high:.1%}] of "
            f"{rated.answers} right on {rated.measured_on}"
        )


def print_both_ways(report: BothWaysReport) -> None:
    """Print how test ships are found when a query is compared both ways round."""
    searches, right = report.searches, report.right_way
    print(f"test, both ways: {searches.ships} ships, {searches.searches} searches")
    print(f"  ECE first candidate: {searches.first_candidate.ece:.3f}")
    print(f"  ECE pairs: {searches.pairs.ece:.3f}")
    print(f"  pairs of one ship more similar the right way round: {right:.1%}")


def print_by_gsd(results: Mapping[float, AtGsd]) -> None:
    """Print the calibration errors of coarse queries on test ships."""
    for gsd_m, result in results.items():
        print(
            f"queries at {gsd_m:g} m: ECE first candidate {result.first.value:.3f}, "
            f"none {result.none.value:.3f}; by the weights of fine queries "
            f"{result.first_as_fine.value:.3f}, none {result.none_as_fine.value:.3f}"
        )


def _further_errors(report: CalibrationReport) -> dict[str, Reliability]:
    """Return the reliability of several chips and of the combined evidence, where measured."""
    errors = {} if report.several is None else {"several chips of one ship": report.several}
    if report.combined is not None:
        for name, part in report.combined.parts().items():
            errors[f"{name}, with simulated registers and voyages"] = part
    return errors


def ablation_table(rows: Sequence[AblationRow]) -> Table:
    """Format a row per data set, protocol and variant, the size-only floor last in a protocol."""
    table = Table(title="per cent [95 % interval over ships]; gain in mAP over previous variant")
    for heading in ("data", "protocol", "variant", "seeds", "mAP", "R1", "R5", "R10", "gain"):
        table.add_column(heading)
    for row in rows:
        numbers = [str(value) for value in named_estimates(row.result).values()]
        if row.spread is not None:
            numbers[0] += f" ± {row.spread:.1f}"
        gain = "" if row.gain is None else str(row.gain)
        seeds = str(row.models) if row.models else ""
        cells = (row.data, row.protocol, row.variant, seeds, *numbers, gain)
        table.add_row(*cells, end_section=row.is_floor)
    return table
