"""The README shows the figures of one run of the benchmark, which is kept beside the code."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.results import README, RESULTS, Results, speed_section, with_speed_section
from bench.timing import compare


def test_the_readme_shows_the_kept_results() -> None:
    assert speed_section(Results.load(RESULTS)) in README.read_text()


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    known = Results.load(RESULTS)
    known.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == known


def test_a_new_run_replaces_the_section_alone() -> None:
    known = Results.load(RESULTS)
    other = replace(known, machine="another machine, 64 cores")
    readme = with_speed_section(README.read_text(), other)
    assert "another machine, 64 cores" in readme
    assert with_speed_section(readme, known) == README.read_text()
    with pytest.raises(ValueError, match="Speed"):
        with_speed_section("# Nothing", known)


def test_the_ratio_is_that_of_rounds_in_pairs() -> None:
    done = []
    comparison = compare(
        "work", ("ours", lambda: done.append(1)), ("other", lambda: sum(range(10**5)))
    )
    assert len(done) == 8
    assert 1 < comparison.ratio_low <= comparison.ratio <= comparison.ratio_high
