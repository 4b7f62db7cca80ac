"""The figures of docs/capacity.md: speed, cores for a number of matches a day, replicas.

`python -m bench.capacity` prints docs/capacity.md with its computed sections.
"""

import math
from pathlib import Path

from bench.replicas import CLIENTS_EACH, ROUNDS, VESSELS
from bench.results import RESULTS, SPEED, Results, speed_section, with_section

PAGE = Path(__file__).parents[1] / "docs/capacity.md"
HEADING = "What a day of matches needs"
REPLICAS_HEADING = "How throughput grows with replicas"
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
        f"The table assumes {per_core:.0f} matches a second for each core: "
        f"{busiest.per_s:.0f} on {results.machine}, beside",
        f"{busiest.clients} clients, of new chips that were compared with "
        f"{http.vessels:,} vessels and not stored. It expects",
        f"{100 * BUSIEST_HOUR:.0f} % of a day's matches in the busiest hour, and plans "
        f"with {100 * UTILISATION:.0f} % of the throughput.",
        f"A process takes {http.resident_mb:.0f} MB, besides the gallery.",
        "",
        "| matches a day | mean matches a second | matches a second in the busiest hour | cores |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def replicas_section(results: Results) -> str:
    """Return the section on replicas in Markdown, without its heading."""
    loads = results.replicas
    alone = loads[0]
    all_ms = alone.replica_ms + alone.stand_in_ms + alone.redis_ms + alone.clients_ms
    lines = [
        "Replicas share a Qdrant server and Redis, which limit how many replicas help. "
        "`make bench` measured this with",
        f"{loads[-1].replicas} replicas of one thread each on {results.machine}, and a stand-in "
        "for the server, which is written in",
        "Python, answers one request at a time and compares a query with every sighting. A Qdrant "
        "server was not measured.",
        f"{CLIENTS_EACH} clients for each replica send new chips, which are compared with "
        f"{VESSELS} vessels and not stored. Medians of {ROUNDS} rounds:",
        "",
        "| replicas used | matches a second | processor time for a match: replicas | stand-in "
        "| Redis |",
        "|---|---|---|---|---|",
        *(
            f"| {one.replicas} | {one.per_s:.1f} | {one.replica_ms:.1f} ms "
            f"| {one.stand_in_ms:.1f} ms | {one.redis_ms:.2f} ms |"
            for one in loads
        ),
        "",
        f"With its client a match takes {all_ms:.0f} ms, so these {results.cores} cores answer at "
        f"most {1000 * results.cores / all_ms:.0f} a second with any number of",
        "replicas. With more cores the limit are the shared processes, which use one core each: "
        "the stand-in for",
        f"{1000 / alone.stand_in_ms:,.0f} matches a second, or "
        f"{alone.replica_ms / alone.stand_in_ms:.1f} replicas; Redis for "
        f"{1000 / alone.redis_ms:,.0f}, or {alone.replica_ms / alone.redis_ms:.1f}.",
    ]
    return "\n".join(lines) + "\n"


def with_computed_sections(page: str, results: Results) -> str:
    """Return the page on capacity with the sections that the results determine."""
    page = with_section(page, SPEED, speed_section(results))
    page = with_section(page, HEADING, capacity_section(results))
    return with_section(page, REPLICAS_HEADING, replicas_section(results))


if __name__ == "__main__":
    print(with_computed_sections(PAGE.read_text(), Results.load(RESULTS)))
