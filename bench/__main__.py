"""Run every comparison and print one table; `--json FILE` writes the numbers."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.framing import measure_framing
from bench.gallery import compare_galleries
from bench.http import measure_http
from bench.models import compare_models


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    console = Console(width=160)
    table = Table("what", "ours", "ms", "other", "ms", "times faster")
    rows = []
    for comparison in (*compare_models(arguments.threads), *compare_galleries()):
        rows.append(asdict(comparison) | {"ratio": comparison.ratio})
        table.add_row(
            comparison.name,
            comparison.ours,
            f"{comparison.ours_ms:.2f}",
            comparison.other,
            f"{comparison.other_ms:.2f}",
            f"{comparison.ratio:.1f}",
        )
    framing = measure_framing()
    http = measure_http()
    console.print(table)
    console.print(
        f"POST /match: p50 {http.p50_ms:.1f} ms, p95 {http.p95_ms:.1f} ms; 16 clients are answered "
        f"{http.together_per_s / http.alone_per_s:.2f} times as fast as one "
        f"({http.together_per_s:.0f} and {http.alone_per_s:.0f} a second)"
    )
    for cost in framing:
        console.print(
            f"Framing a loose {cost.modality} chip of {cost.side_px} x {cost.side_px} pixels takes "
            f"{cost.processor_ms:.1f} ms of one core"
        )
    console.print(
        f"Ready {http.ready_after_s:.1f} s after the start; {http.resident_mb:.0f} MB resident"
    )
    if arguments.json is not None:
        costs = [asdict(cost) for cost in framing]
        numbers = {"comparisons": rows, "framing": costs, "http": asdict(http)}
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
