"""The sizes in docs/capacity.md are those that are measured."""

import json
import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

TOLERANCE = 0.35
NOISE_BYTES = 200
"""What the allocator adds or spares; the id of a point in Qdrant Edge alone takes 300."""

STORED = ("match", "open", "audit")
"""What a stored match takes together."""

ROW = re.compile(r"^\| one more (\w+)[^|]*\| ([\d.]+) kB \| ([\d.]+) kB \|$", re.MULTILINE)
PAGE = (ROOT / "docs/capacity.md").read_text()


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, float]]:
    rows = {kind: (float(disk), float(memory)) for kind, disk, memory in ROW.findall(PAGE)}
    return {kind: {"disk": 1e3 * d, "memory": 1e3 * m} for kind, (d, m) in rows.items()}


def test_the_sizes_of_one_record_are_as_documented(documented: dict[str, dict[str, float]]) -> None:
    command = [sys.executable, "-m", "tests.support.sizing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    print(done.stdout)
    measured = json.loads(done.stdout)
    assert measured.keys() == documented.keys()
    for kind, sizes in measured.items():
        for where, size in sizes.items():
            expected = documented[kind][where]
            assert size == pytest.approx(expected, rel=TOLERANCE, abs=NOISE_BYTES), (kind, where)


def test_the_sizes_of_a_year_follow_from_those_of_one_record(
    documented: dict[str, dict[str, float]],
) -> None:
    total = {where: sum(documented[kind][where] for kind in STORED) for where in ("disk", "memory")}
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB \|$",
        PAGE,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["1,000", "10,000", "100,000"]
    for number, *sizes in rows:
        a_day = float(number.replace(",", ""))
        expected = [
            a_day * days * total[where] / 1e9 for days in (365, 30) for where in ("disk", "memory")
        ]
        assert [float(size) for size in sizes] == pytest.approx(expected, rel=0.1)


def test_history_takes_next_to_no_memory(documented: dict[str, dict[str, float]]) -> None:
    assert max(documented[kind]["memory"] for kind in STORED) <= 20
