"""The README's curl commands work as pasted, in their order, against a running service."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.processes.service_process import ServiceProcess, running_service

README = (ROOT / "README.md").read_text("utf-8")
CURL_BLOCKS = [block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "curl" in block]
ADDRESS = "http://127.0.0.1:8080"
FAIL_ON_ERRORS = """set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"""


@pytest.fixture(scope="module")
def empty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with an empty data folder, as `make serve` starts it in a fresh checkout."""
    with running_service(tmp_path_factory.mktemp("readme")) as process:
        yield process


def paste_commands(url: str) -> list[dict[str, Any]]:
    """Run all blocks in one shell in the checkout; return the JSON documents they print."""
    script = FAIL_ON_ERRORS + "\n".join(CURL_BLOCKS).replace(ADDRESS, url)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    documents, rest = [], done.stdout
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        documents.append(document)
        rest = rest[end:]
    return documents


def test_every_curl_command_is_one_that_is_run() -> None:
    assert README.count("curl -") == sum(block.count("curl -") for block in CURL_BLOCKS) == 6
    assert all(ADDRESS in block for block in CURL_BLOCKS)


def test_the_commands_work_in_their_order_and_again(empty_service: ServiceProcess) -> None:
    for attempt in range(2):
        first, vessel, match, record, comparison = paste_commands(empty_service.url)
        assert first["query"]["modality"] == "sar"
        assert (vessel["name"], len(vessel["sightings"])) == ("EXAMPLE STAR", 2 + attempt)
        (candidate,) = match["candidates"]
        assert candidate["vessel"]["id"] == vessel["id"]
        assert candidate["checks"]["kinematics"]["feasible"]
        assert record["match_id"] == match["match_id"]
        assert record["standing"] == "confirmed"
        assert record["query"]["sighting_id"] == match["query"]["sighting_id"]
        assert 0 < comparison["probability"] < 1
