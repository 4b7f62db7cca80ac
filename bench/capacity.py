"""What a number of matches a day takes of processor cores, and how replicas share a gallery.

`python -m bench.capacity` prints docs/capacity.md with its computed sections.
"""

import math
from pathlib import Path

from bench.replicas import CLIENTS_EACH, ROUNDS, VESSELS
from bench.results import RESULTS, Results, with_section

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


def replicas_section(results: Results) -> str:
    """Return the section on replicas in Markdown, without its heading."""
    loads = results.replicas
    alone = loads[0]
    shared = (("stand-in", alone.stand_in_ms), ("Redis", alone.redis_ms))
    all_ms = alone.replica_ms + alone.stand_in_ms + alone.redis_ms + alone.clients_ms
    lines = [
        f"`make bench` started {loads[-1].replicas} replicas of one thread, in turn on each core",
        f"of {results.machine}. They share a data folder, Redis, and a process that stands in",
        f"for a Qdrant server. {CLIENTS_EACH} clients for each replica ask the replicas in turn.",
        f"Each chip was new, was compared with {VESSELS} vessels, and was not stored. These are",
        f"medians of {ROUNDS} rounds; times are processor time for a match. Where other programs",
        "took cores, matches a second are too few; the times change little:",
        "",
        "| replicas asked | matches a second | replicas | stand-in | Redis | clients "
        "| cores that other programs took |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {one.replicas} | {one.per_s:.1f} | {one.replica_ms:.1f} ms "
            f"| {one.stand_in_ms:.1f} ms | {one.redis_ms:.2f} ms | {one.clients_ms:.1f} ms "
            f"| {max(one.other_cores, 0.0):.1f} |"
            for one in loads
        ),
        "",
        f"A match takes {all_ms:.0f} ms of a replica and of the others together, so these",
        f"{results.cores} cores answer at most {1000 * results.cores / all_ms:.0f} a second with",
        "any number of replicas: the table does not show what more machines do. There the shared",
        "processes are the limit, each of which uses one core. By the times with one replica:",
        "",
        "| shared | matches a second that it serves | replicas, with a core each, that it feeds |",
        "|---|---|---|",
        *(
            f"| {name} | {1000 / each_ms:,.0f} | {alone.replica_ms / each_ms:.1f} |"
            for name, each_ms in shared
        ),
        "",
        "The stand-in is no Qdrant server: it is written in Python, answers one request at a time",
        "and compares a query with every sighting, so its row is not the limit of a Qdrant server,",
        "which was not measured. A replica sends a Qdrant server the same requests.",
    ]
    return "\n".join(lines) + "\n"


def with_computed_sections(page: str, results: Results) -> str:
    """Return the page on capacity with the sections that the results determine."""
    page = with_section(page, HEADING, capacity_section(results))
    return with_section(page, REPLICAS_HEADING, replicas_section(results))


if __name__ == "__main__":
    print(with_computed_sections(PAGE.read_text(), Results.load(RESULTS)))
