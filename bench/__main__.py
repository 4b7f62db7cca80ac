"""Measure speeds; claims are ratios from one run, because machines differ."""

import argparse
import os

from rich.console import Console
from rich.table import Table

from bench.bulk import compare_bulk_enrolment
from bench.capacity import PAGE, with_computed_sections
from bench.framing import measure_framing
from bench.gallery import LARGE, SMALL, compare_galleries, compare_table
from bench.http import measure_http
from bench.models import SINGLE_CHIP, compare_models, compare_published
from bench.replicas import measure_replicas
from bench.results import (
    README,
    RESULTS,
    SPEED,
    Results,
    describe_machine,
    speed_section,
    speed_summary,
    with_section,
)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help="renew bench/results.json and the figures of README and docs/capacity.md",
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out the large galleries and ViT-B's graphs"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("the pages show whole runs: give --write without --quick")
    models = tuple(compare_models(arguments.threads))
    single = next(one for one in models if one.name == SINGLE_CHIP)
    batched = min(one.ours_ms for one in models if one.name.startswith("embed 8"))
    machine, avx512 = describe_machine()
    results = Results(
        machine=machine,
        cores=os.cpu_count() or 1,
        avx512=avx512,
        comparisons=(
            *models,
            compare_bulk_enrolment(arguments.threads),
            *(() if arguments.quick else compare_published(arguments.threads)),
            *compare_galleries(SMALL if arguments.quick else SMALL + LARGE),
            *(() if arguments.quick else (compare_table(),)),
        ),
        framing=tuple(measure_framing()),
        http=measure_http(single.ours_ms, batched),
        replicas=measure_replicas(rounds=1) if arguments.quick else measure_replicas(),
    )
    _print(results)
    if arguments.write:
        results.save(RESULTS)
        README.write_text(with_section(README.read_text(), SPEED, speed_summary(results)))
        PAGE.write_text(with_computed_sections(PAGE.read_text(), results))


def _print(results: Results) -> None:
    table = Table("what", "ours", "ms", "compared with", "ms", "times faster", "rounds")
    for one in results.comparisons:
        table.add_row(
            one.name,
            one.ours,
            f"{one.ours_ms:.2f}",
            one.reference,
            f"{one.reference_ms:.2f}",
            f"{one.ratio:.1f}",
            f"{one.ratio_low:.1f} to {one.ratio_high:.1f}",
        )
    console = Console(width=160)
    console.print(table)
    console.print(speed_section(results), markup=False)


if __name__ == "__main__":
    main()
