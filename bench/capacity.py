"""What a number of matches a day takes of processor cores, from the measured throughput.

`python -m bench.capacity` prints the section of docs/capacity.md.
"""

import math
from pathlib import Path

from bench.results import RESULTS, Results

PAGE = Path(__file__).parents[1] / "docs/capacity.md"
HEADING = "What a day of matches needs"
MATCHES_A_DAY = (1_000, 10_000, 100_000, 1_000_000)
BUSIEST_HOUR = 0.1
"""Share of a day's matches that come in its busiest hour: two and a half times the mean."""
UTILISATION = 0.7
"""Share of the measured throughput to plan with, so that requests seldom wait for each other."""


def cores_needed(per_day: int, per_core_s: float) -> int:
    """Return the cores for the busiest hour, at least one.

    Args:
        per_day: matches a day.
        per_core_s: matches a second that one core answers when it is busy.
    """
    return max(1, math.ceil(_in_the_busiest_hour(per_day) / (per_core_s * UTILISATION)))


def _in_the_busiest_hour(per_day: int) -> float:
    """Return the matches a second."""
    return per_day * BUSIEST_HOUR / 3600


def capacity_section(results: Results) -> str:
    """Return the section in Markdown, without its heading."""
    busiest = max(results.http.loads, key=lambda load: load.per_s)
    per_core = busiest.per_s / results.cores
    rows = [
        f"| {count:,} | {count / 86_400:.2g} | {_in_the_busiest_hour(count):.2g} "
        f"| {cores_needed(count, per_core)} |"
        for count in MATCHES_A_DAY
    ]
    http = results.http
    lines = [
        f"`make bench` measured {busiest.per_s:.0f} matches a second from "
        f"{busiest.clients} clients",
        f"on {results.machine}, the clients on the same cores: {per_core:.0f} for each core.",
        f"Each chip was new, was compared with {http.vessels:,} vessels, and was not stored.",
        f"The table expects {100 * BUSIEST_HOUR:.0f} % of a day's matches in its busiest hour,",
        f"and plans with {100 * UTILISATION:.0f} % of the throughput.",
        f"A process takes {http.resident_mb:.0f} MB, besides the gallery.",
        "",
        "| matches a day | a second, on the mean | a second, in the busiest hour | cores |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(capacity_section(Results.load(RESULTS)))
