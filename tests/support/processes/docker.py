"""Docker's command line, as the container tests use it."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.paths import ROOT

BUILD_LIMIT_S = 1200
START_LIMIT_S = 120
TEST_LIMIT_S = 3600
"""Of the first test, which builds an image and pulls others."""
CONFINED = [
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--init"),
    *("--security-opt", "no-new-privileges:true"),
]


def docker(*arguments: str, limit_s: float = 60, check: bool = True) -> str:
    """Run a docker command; its standard output.

    Raises:
        AssertionError: it failed; the message holds what it said.
    """
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=limit_s, cwd=ROOT
    )
    assert not check or done.returncode == 0, f"docker {arguments}:\n{done.stdout}{done.stderr}"
    return done.stdout.strip() if check else done.stdout + done.stderr


def build(tag: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Build an image of the repository with further arguments of `docker build`."""
    return subprocess.run(
        ["docker", "build", *arguments, "-t", tag, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
    )


@dataclass(frozen=True)
class Container:
    """A running container of the service."""

    name: str

    @property
    def url(self) -> str:
        """Where its port is published; another after each start."""
        return "http://" + docker("port", self.name, "8080/tcp").splitlines()[0]

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.name))[0]
        return found

    def run(self, *command: str) -> str:
        return docker("exec", self.name, *command)

    def wait_until_healthy(self) -> None:
        eventually(
            lambda: self.inspect()["State"]["Health"]["Status"] == "healthy",
            lambda: docker("logs", self.name, check=False)[-3000:],
        )


@contextmanager
def running(image: str, name: str, *arguments: str) -> Iterator[Container]:
    """A confined container with the volume NAME and a port on loopback; both removed at the end."""
    remove(name)
    docker("volume", "create", name)
    try:
        docker(
            *("run", "--detach", "--name", name, *CONFINED, "--memory", "1g"),
            *("--volume", f"{name}:/var/lib/crossfix", "--publish", "127.0.0.1::8080"),
            *("--env", "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS=true", "--health-interval", "2s"),
            *("--env", "CROSSFIX_THREADS=1", *arguments, image),
        )
        container = Container(name)
        container.wait_until_healthy()
        yield container
    finally:
        remove(name)


def remove(name: str) -> None:
    docker("rm", "--force", "--volumes", name, check=False)
    docker("volume", "rm", name, check=False)


def eventually(holds: Callable[[], bool], what_is_wrong: Callable[[], str]) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not within START_LIMIT_S.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.5)
    raise AssertionError(what_is_wrong())


def enrol_and_match(url: str) -> dict[str, Any]:
    """Enrol one simulated ship by its optical chip, and match a SAR chip; the answer."""
    with httpx.Client(base_url=url, timeout=60) as api:
        enrolled = api.post(
            "/gallery",
            data={
                "vessel": json.dumps({"name": "CONTAINER TEST", "length_m": 90}),
                "chip_metadata": json.dumps([{"modality": "optical", "gsd_m": 0.75}]),
            },
            files=[("chips", ("1.png", optical_png(1, height=120, width=30)))],
        )
        assert enrolled.status_code in (200, 201), enrolled.text  # 200: it was there
        return match(url)


def match(url: str) -> dict[str, Any]:
    """Match a simulated SAR chip; the answer."""
    answer = httpx.post(
        f"{url}/match",
        files={"chip": ("q.tif", sar_tiff(5, height=90, width=22))},
        data={"gsd_m": "1.0"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
