"""The sizes on a Qdrant cluster in docs/capacity.md are those that are measured."""

import json
import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

TOLERANCE = 0.3
NOISE_BYTES = 200
"""What the allocator adds or spares; a sighting must take at most 1,500 bytes of memory."""

PAGE = (ROOT / "docs/capacity.md").read_text()
[DISK_KB, MEMORY_KB] = map(
    float, re.findall(r"^\| one more \| ([\d.]+) kB \| ([\d.]+) kB \|$", PAGE, re.MULTILINE)[0]
)


def test_a_sighting_takes_what_the_page_says_and_at_most_1500_bytes_of_memory() -> None:
    command = [sys.executable, "-m", "tests.support.server_sizing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    print(done.stdout)
    measured = json.loads(done.stdout)
    assert measured["disk"] == pytest.approx(1e3 * DISK_KB, rel=TOLERANCE)
    assert measured["memory"] == pytest.approx(1e3 * MEMORY_KB, rel=TOLERANCE, abs=NOISE_BYTES)
    assert measured["memory"] < 1500


def test_the_sizes_of_a_gallery_follow_from_those_of_a_sighting() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+) GB \| ([\d.]+) GB \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == ["100,000", "1,000,000"]
    for number, *sizes in rows:
        count = float(number.replace(",", ""))
        expected = [count * 1e3 * kilobytes / 1e9 for kilobytes in (DISK_KB, MEMORY_KB)]
        assert [float(size) for size in sizes] == pytest.approx(expected, rel=0.1)
