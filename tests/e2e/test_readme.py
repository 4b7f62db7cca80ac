"""The curl commands of README and docs/api.md work as pasted, in their order, on a service."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.client.demo.run import SHIPPED_FLEET
from tests.support.paths import ROOT
from tests.support.processes.cli import crossfix
from tests.support.processes.service_process import ServiceProcess, running_service

README = (ROOT / "README.md").read_text("utf-8")
PAGES = README + (ROOT / "docs/api.md").read_text("utf-8")
CURL_BLOCKS = [block for block in re.findall(r"```sh\n(.*?)```", PAGES, re.S) if "curl" in block]
EXAMPLE_BLOCK = re.search(r"```json\n(.*?)```", README, re.S)
ADDRESS = "http://127.0.0.1:8080"
FAIL_ON_ERRORS = """set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"""


@pytest.fixture(scope="module")
def empty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with an empty data folder, as `make serve` starts it in a fresh checkout."""
    with running_service(tmp_path_factory.mktemp("readme")) as process:
        yield process


def paste_commands(url: str, blocks: list[str]) -> list[dict[str, Any]]:
    """Run blocks in one shell in the checkout; return the JSON documents they print."""
    script = FAIL_ON_ERRORS + "\n".join(blocks).replace(ADDRESS, url)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    documents, rest = [], done.stdout
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        documents.append(document)
        rest = rest[end:].lstrip()
    return documents


def test_every_curl_command_is_one_that_is_run() -> None:
    assert PAGES.count("curl -") == sum(block.count("curl -") for block in CURL_BLOCKS) == 7
    assert all(ADDRESS in block for block in CURL_BLOCKS)


def test_the_commands_work_in_their_order_and_again(empty_service: ServiceProcess) -> None:
    for attempt in range(2):
        first, vessel, match, record, comparison, *bulk = paste_commands(
            empty_service.url, CURL_BLOCKS
        )
        assert first["query"]["modality"] == "sar"
        assert (vessel["name"], len(vessel["sightings"])) == ("EXAMPLE STAR", 2 + attempt)
        candidate = match["candidates"][0]
        assert candidate["vessel"]["id"] == vessel["id"]
        assert candidate["checks"]["kinematics"]["feasible"]
        assert record["match_id"] == match["match_id"]
        assert record["standing"] == "confirmed"
        assert record["query"]["sighting_id"] == match["query"]["sighting_id"]
        assert 0 < comparison["probability"] < 1
        *chips, last = bulk
        assert [one["outcome"] for one in chips] == [("enrolled", "unchanged")[attempt]] * 2
        assert last["totals"]["refused"] == 0


def differences(shown: Any, found: Any, place: str = "") -> list[str]:
    """Where a document shows another value than it should; it may leave out keys and items.

    Numbers may differ by one per cent, as they do between machines.
    """
    if isinstance(shown, dict):
        missing = [f"{place}.{key} is missing" for key in shown.keys() - found.keys()]
        both = shown.keys() & found.keys()
        return missing + [d for k in both for d in differences(shown[k], found[k], f"{place}.{k}")]
    if isinstance(shown, list):
        tried = [[differences(one, other, place) for other in found] or [[place]] for one in shown]
        return [fault for faults in tried for fault in min(faults, key=len)]
    if isinstance(shown, float):
        return [] if shown == pytest.approx(found, rel=0.01) else [f"{place}: {found}"]
    return [] if shown == found else [f"{place}: {found}"]


def test_the_response_that_is_shown_is_that_of_the_demo(tmp_path: Path) -> None:
    assert EXAMPLE_BLOCK is not None
    shown = json.loads(EXAMPLE_BLOCK[1])
    assert shown.pop("match_id")
    with running_service(tmp_path / "service") as process:
        dataset = ("--dataset", "simulated-demo-fleet")
        done = crossfix("enrol", SHIPPED_FLEET, *dataset, "--url", process.url)
        assert done.returncode == 0, done.stderr
        (answer,) = paste_commands(process.url, CURL_BLOCKS[:1])
    assert differences(shown, answer) == []
    assert differences(shown | {"verdict": "confident"}, answer) == [".verdict: likely"]
