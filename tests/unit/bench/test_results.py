"""README and docs/capacity.md show the figures of one run of the benchmark, which is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.capacity import PAGE, cores_needed, with_computed_sections
from bench.results import (
    README,
    RESULTS,
    SPEED,
    Results,
    speed_section,
    speed_summary,
    with_section,
)
from bench.timing import compare


def test_the_readme_shows_the_kept_results() -> None:
    assert speed_summary(Results.load(RESULTS)) in README.read_text()


def test_the_page_on_capacity_shows_the_kept_results() -> None:
    page = PAGE.read_text()
    assert with_computed_sections(page, Results.load(RESULTS)) == page


def test_cores_are_those_of_the_busiest_hour() -> None:
    """36,000 matches a day are one a second in an hour with a tenth of them."""
    assert cores_needed(36_000, per_core_s=2.0) == 1
    assert cores_needed(360_000, per_core_s=2.0) == 8
    assert cores_needed(1, per_core_s=2.0) == 1


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    known = Results.load(RESULTS)
    known.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == known


def test_a_new_run_replaces_the_section_alone() -> None:
    known = Results.load(RESULTS)
    other = replace(known, machine="another machine, 64 cores")
    page = with_section(PAGE.read_text(), SPEED, speed_section(other))
    assert "another machine, 64 cores" in page
    assert with_section(page, SPEED, speed_section(known)) == PAGE.read_text()
    with pytest.raises(ValueError, match="no section 'Speed'"):
        with_section("# Nothing", SPEED, speed_section(known))


def test_the_ratio_is_that_of_rounds_in_pairs() -> None:
    done = []
    comparison = compare(
        "work", ("ours", lambda: done.append(1)), ("other", lambda: sum(range(10**5)))
    )
    assert len(done) == 8
    assert 1 < comparison.ratio_low <= comparison.ratio <= comparison.ratio_high
