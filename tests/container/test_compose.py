"""The compose stack of the service, started on the CPU.

CROSSFIX_TEST_COMPOSE_FILES names further compose files, separated by colons, for a machine that
cannot pull every image.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.processes.docker import (
    TEST_LIMIT_S,
    build,
    docker,
    enrol_and_match,
    eventually,
    match,
)
from tests.support.processes.service_process import free_port

pytestmark = pytest.mark.timeout(TEST_LIMIT_S)

FILES = ["docker-compose.yml", "deploy/compose.cpu.yml"]
EXTRA_FILES = [
    name for name in os.environ.get("CROSSFIX_TEST_COMPOSE_FILES", "").split(":") if name
]
PROJECT = "crossfix-test"
KILL_CHILDREN_OF_INIT = """
import glob, os, signal
for stat in glob.glob("/proc/[0-9]*/stat"):
    if open(stat).read().rpartition(")")[2].split()[1] == "1":
        os.kill(int(stat.split("/")[2]), signal.SIGKILL)
"""


class Stack:
    """The compose project under a name, secrets and ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.grafana_port = free_port(), free_port()
        self._settings = folder / "env"
        self._settings.write_text(
            "QDRANT_API_KEY=q1w2e3\nREDIS_PASSWORD=r4t5y6\nGRAFANA_PASSWORD=z7u8i9\nSERVICE_CPUS=1\n"
            f"SERVICE_PORT={self.port}\nGRAFANA_PORT={self.grafana_port}\nQDRANT_CPUS=1\n"
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, limit_s: float = 120) -> str:
        files = [part for name in [*FILES, *EXTRA_FILES] for part in ("-f", name)]
        command = ["docker", "compose", "-p", PROJECT, "--env-file", str(self._settings), *files]
        done = subprocess.run(
            [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=limit_s
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, limit_s: float = 300) -> None:
        """Start what does not run, and wait until all parts are healthy."""
        self.compose("up", "--wait", "--detach", "--no-build", limit_s=limit_s)

    def states(self) -> dict[str, dict[str, Any]]:
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {state["Service"]: state for state in map(json.loads, lines)}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    started = Stack(tmp_path_factory.mktemp("compose"))
    started.compose("down", "--volumes")
    try:
        done = build("crossfix:cpu", "--target", "cpu")
        assert done.returncode == 0, done.stderr[-4000:]
        started.start(limit_s=1800)
        yield started
    finally:
        started.compose("down", "--volumes")


def test_all_parts_become_healthy(stack: Stack) -> None:
    states = stack.states()
    assert states
    assert {name: state["Health"] for name, state in states.items()} == dict.fromkeys(
        states, "healthy"
    )


def test_only_the_service_and_grafana_are_published(stack: Stack) -> None:
    published = {
        name
        for name, state in stack.states().items()
        if any(publisher["PublishedPort"] for publisher in state["Publishers"] or ())
    }
    assert published <= {"service", "grafana"}
    assert "service" in published


def test_the_stack_matches_and_caches_embeddings(stack: Stack) -> None:
    first = enrol_and_match(stack.url)
    assert first["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"

    def cached() -> bool:
        enrol_and_match(stack.url)
        return int(stack.compose("exec", "-T", "redis", "redis-cli", "dbsize")) >= 2

    # Another test may have stopped Redis: for a moment the service does not call it.
    eventually(cached, lambda: "Redis has no embeddings")
    again = match(stack.url)
    assert again["candidates"][0]["similarity"] == first["candidates"][0]["similarity"]


def test_redis_requires_its_password(stack: Stack) -> None:
    answer = stack.compose("exec", "-T", "redis", "sh", "-c", "REDISCLI_AUTH= redis-cli ping; true")
    assert "NOAUTH" in answer


def test_prometheus_reads_the_metrics(stack: Stack) -> None:
    def scraped() -> bool:
        query = ("http://127.0.0.1:9090", 'up{job="crossfix"}')
        answer = stack.compose("exec", "-T", "prometheus", "promtool", "query", "instant", *query)
        return "=> 1" in answer

    eventually(scraped, lambda: "Prometheus does not reach the service")


def test_a_killed_service_restarts_with_its_gallery(stack: Stack) -> None:
    enrol_and_match(stack.url)
    name = stack.states()["service"]["Name"]
    docker("exec", name, "python3", "-c", KILL_CHILDREN_OF_INIT, check=False)

    def restarted() -> bool:
        if docker("inspect", name, "--format", "{{.RestartCount}}") != "1":
            return False
        try:
            return httpx.get(f"{stack.url}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    eventually(restarted, lambda: stack.compose("logs", "--tail", "40", "service"))
    assert match(stack.url)["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"


def test_a_public_address_requires_a_key(stack: Stack) -> None:
    once = ("run", "--rm", "--no-deps", "-T")
    public = ("-e", "CROSSFIX_PUBLISHED_ADDRESS=0.0.0.0", "-e", "CROSSFIX_DATA_DIR=/tmp/data")
    with pytest.raises(AssertionError, match=r"PUBLISHED_ADDRESS: 0\.0\.0\.0 can be reached"):
        stack.compose(*once, *public, "service")
    key = stack.compose(*once, *public, "service", "keys", "create", "desk", "--role", "admin")
    assert key.startswith("cfx_")


def test_a_backup_brings_everything_back_after_all_volumes_are_lost(
    stack: Stack, tmp_path: Path
) -> None:
    """The recipes of docs/operations.md."""
    tmp_path.chmod(0o777)
    before = enrol_and_match(stack.url)
    run = ("run", "--rm", "-T", "-v", f"{tmp_path}:/backups", "service")
    stack.compose("stop", "service")  # the gallery may be embedded where Qdrant cannot be pulled
    try:
        counts = stack.compose(*run, "backup", "/backups/first", "--json")
        stack.compose("down", "--volumes")
        restored = stack.compose(*run, "restore", "/backups/first", "--json")
    finally:
        stack.start()
    assert json.loads(restored) == json.loads(counts)
    assert httpx.get(f"{stack.url}/matches/{before['match_id']}", timeout=30).status_code == 200
    assert match(stack.url)["candidates"] == before["candidates"]
    stack.compose("exec", "-T", "service", "crossfix", "audit", "verify")


def test_the_service_works_without_redis(stack: Stack) -> None:
    enrol_and_match(stack.url)
    stack.compose("stop", "redis")
    try:
        assert match(stack.url)["candidates"]
    finally:
        stack.start()
