"""The code of docs/tutorial.md works as pasted, from top to bottom, against a running service."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes.service_process import ServiceProcess, running_service

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8080"


def blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document, re.S)


@pytest.fixture(scope="module")
def empty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with running_service(tmp_path_factory.mktemp("tutorial")) as process:
        yield process


def run(code: str, folder: Path) -> str:
    """Run code in a folder that holds the demo's chips, and return what it prints."""
    (folder / "demo").symlink_to(ROOT / "demo")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDEVMODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_runs_from_top_to_bottom(
    empty_service: ServiceProcess, tmp_path: Path
) -> None:
    code = "\n".join(blocks(TUTORIAL))
    assert code.count(ADDRESS) == 2
    printed = run(code.replace(ADDRESS, empty_service.url), tmp_path)
    assert "TUTORIAL STAR 5f0c1f0e-3c1a-4d0b-9a55-6f1b8f7c2d11 2 sightings" in printed
    assert "1 TUTORIAL STAR" in printed
    assert "trained on simulated data" in printed
    assert "same deck cranes" in printed
    assert "2026-03-02 10:12:00+00:00 1.24 103.9" in printed
    assert "match_id,asked_at" in printed
    assert "415 chip-format" in printed
    assert (tmp_path / "vessels.geojson").stat().st_size
    assert "Evidence report" in (tmp_path / "report.html").read_text()


def test_the_readmes_example_runs(empty_service: ServiceProcess, tmp_path: Path) -> None:
    (code,) = blocks(README)
    assert run(code.replace(ADDRESS, empty_service.url), tmp_path).endswith("]\n")
