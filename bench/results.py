"""What a run of the benchmark measured, as a file and as text of README and docs/capacity.md."""

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.framing import FramingCost
from bench.http import HttpFigures
from bench.replicas import ReplicaLoad
from bench.timing import ROUNDS, Comparison

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).parents[1] / "README.md"
SPEED = "Speed"
"""Heading of the section in the README, which sums up, and of that in docs/capacity.md."""


@dataclass(frozen=True)
class Results:
    """The figures of one run.

    Attributes:
        machine: the processor's name, and its number of cores.
        cores: that number.
        avx512: whether the processor has AVX-512.
    """

    machine: str
    cores: int
    avx512: bool
    comparisons: tuple[Comparison, ...]
    framing: tuple[FramingCost, ...]
    http: HttpFigures
    replicas: tuple[ReplicaLoad, ...]

    def save(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def load(path: Path) -> "Results":
        """Read what `save` wrote."""
        known = json.loads(path.read_text())
        return Results(
            machine=known["machine"],
            cores=known["cores"],
            avx512=known["avx512"],
            comparisons=tuple(Comparison(**one) for one in known["comparisons"]),
            framing=tuple(FramingCost(**one) for one in known["framing"]),
            http=HttpFigures.of(known["http"]),
            replicas=tuple(ReplicaLoad(**one) for one in known["replicas"]),
        )


def describe_machine() -> tuple[str, bool]:
    """Return the processor's name with its number of cores, and whether it has AVX-512."""
    about = Path("/proc/cpuinfo")
    text = about.read_text() if about.is_file() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    processor = name[1] if name else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores", "avx512f" in text


def speed_summary(results: Results) -> str:
    """Return the README's section on speed in Markdown, without its heading."""
    alone = results.http.loads[0]
    busiest = max(results.http.loads, key=lambda load: load.per_s)
    lines = [
        f"On {results.machine}, without a GPU, a match among {results.http.vessels:,} vessels "
        "takes",
        f"{alone.p50_ms:.0f} ms (median, one client); {busiest.clients} clients together get "
        f"{busiest.per_s:.0f} matches a second. `make bench`",
        "measures this; [speed and capacity](docs/capacity.md#speed) shows all figures.",
    ]
    return "\n".join(lines) + "\n"


def speed_section(results: Results) -> str:
    """Return the section on speed of docs/capacity.md in Markdown, without its heading."""
    http = results.http
    alone = http.loads[0]
    rows = [
        f"| {one.name}: {one.ours} ({one.ours_ms:.1f} ms) | {one.reference} | {_ratio(one)} |"
        for one in results.comparisons
    ]
    loads = [
        f"| {load.clients} | {load.per_s:.0f} | {load.p50_ms:.0f} ms | {load.p99_ms:.0f} ms "
        f"| {load.share_of_encoding:.0%} |"
        for load in http.loads
    ]
    framing = _framing(results.framing)
    lines = [
        f"Measured by `make bench` on {results.machine}, {'with' if results.avx512 else 'without'} "
        "AVX-512, without a GPU.",
        "Only the ratios hold on other machines; brackets show the smallest and the largest of "
        f"{ROUNDS} rounds.",
        "",
        "| what | compared with | times faster |",
        "|---|---|---|",
        *rows,
        "",
        f"`POST /match` of new chips against {http.vessels:,} vessels, compared with the encoder "
        "alone, which",
        f"encodes {'each chip and its half turn' if http.views == 2 else 'each chip'} in batches:",
        "",
        "| clients | matches a second | median | 99th percentile "
        "| share of the encoder's throughput |",
        "|---|---|---|---|---|",
        *loads,
        "",
        f"One client waits {alone.p50_ms:.1f} ms; one call of the encoder takes "
        f"{http.encode_ms:.1f} ms.",
        *framing,
        f"The service is ready {http.ready_after_s:.1f} s after its start and takes "
        f"{http.resident_mb:.0f} MB.",
    ]
    return "\n".join(lines) + "\n"


def _ratio(one: Comparison) -> str:
    return f"{one.ratio:.1f} ({one.ratio_low:.1f} to {one.ratio_high:.1f})"


def _framing(costs: Sequence[FramingCost]) -> list[str]:
    shown = "; ".join(
        f"{cost.processor_ms:.1f} ms ({cost.modality}, {cost.side_px} x {cost.side_px} pixels)"
        for cost in costs
    )
    return [f"Framing a loose chip takes this time on one core: {shown}."]


def with_section(page: str, heading: str, text: str) -> str:
    """Return a page with the text of one of its sections replaced.

    Args:
        page: Markdown.
        heading: of the section, which is of the second level and not the last.
        text: Markdown that ends with a line break.

    Raises:
        ValueError: the page has no such section.
    """
    section = re.compile(rf"(^## {re.escape(heading)}\n\n).*?(?=^## )", re.M | re.S)
    if not section.search(page):
        raise ValueError(f"the page has no section '{heading}' with another behind it")
    return section.sub(lambda found: found[1] + text + "\n", page)
