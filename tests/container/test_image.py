"""The CPU image: its content, and that it serves in a confined container."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.paths import ROOT
from tests.support.processes.docker import (
    TEST_LIMIT_S,
    Container,
    build,
    docker,
    enrol_and_match,
    eventually,
    match,
    running,
)

pytestmark = pytest.mark.timeout(TEST_LIMIT_S)

IMAGE = "crossfix:test"
MAX_SIZE_MB = 680


@pytest.fixture(scope="module")
def image() -> str:
    done = build(IMAGE, "--target", "cpu")
    assert done.returncode == 0, done.stderr[-4000:]
    return IMAGE


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[Container]:
    with running(image, "crossfix-test") as started:
        yield started


def test_the_image_is_small_enough(image: str) -> None:
    size_mb = int(docker("image", "inspect", image, "--format", "{{.Size}}")) / 1e6
    print(f"\nimage size: {size_mb:.0f} MB")
    assert size_mb < MAX_SIZE_MB


def test_the_image_has_no_compiler_and_no_torch(container: Container) -> None:
    container.run("python3", "-c", "import importlib.util as u; assert not u.find_spec('torch')")
    assert container.run("sh", "-c", "command -v cc gcc g++ clang make ld || true") == ""
    search = "find / -xdev \\( -name 'libtorch*' -o -path '*-packages/torch' \\) 2>/dev/null; true"
    files = container.run("sh", "-c", search)
    assert files == ""


def test_it_runs_unprivileged_on_a_read_only_root(container: Container) -> None:
    assert container.run("id", "-u") == "10001"
    writes = "touch /srv/crossfix/x /opt/crossfix/x /x 2>&1; true"
    assert container.run("sh", "-c", writes).count("Read-only file system") == 3
    status = container.run("cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_it_matches_and_keeps_its_gallery_after_a_restart_and_a_kill(container: Container) -> None:
    answer = enrol_and_match(container.url)
    assert answer["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
    for signal in ("TERM", "KILL"):
        docker("kill", "--signal", signal, container.name)
        eventually(lambda: not container.inspect()["State"]["Running"], lambda: "it does not stop")
        if signal == "TERM":
            assert container.inspect()["State"]["ExitCode"] == 0
        docker("start", container.name)
        container.wait_until_healthy()
        assert match(container.url)["candidates"][0]["vessel"]["name"] == "CONTAINER TEST"
    assert httpx.get(f"{container.url}/readyz", timeout=30).status_code == 200


def test_a_public_address_without_keys_is_refused(image: str) -> None:
    output = docker("run", "--rm", image, check=False)
    assert "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS" in output


def test_the_cpu_image_refuses_cuda(image: str) -> None:
    allowed = ("--env", "CROSSFIX_ALLOW_PUBLIC_WITHOUT_KEYS=true")
    output = docker("run", "--rm", *allowed, "--env", "CROSSFIX_DEVICE=cuda", image, check=False)
    assert "cannot start: the device 'cuda' was asked for" in output


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("mkdir -p /srv/crossfix/torch && touch /srv/crossfix/torch/__init__.py", "torch can be"),
        ("printf '#!/bin/sh' > /usr/local/bin/gcc && chmod +x /usr/local/bin/gcc", "can compile"),
    ],
)
def test_the_build_fails_with_torch_or_a_compiler(
    tmp_path: Path, command: str, message: str
) -> None:
    base = next(
        line.partition("=")[2]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG PYTHON_IMAGE=")
    )
    base_image = "crossfix-test-base"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN {command}\n")
    docker("build", "-t", base_image, str(tmp_path))
    done = build(
        "crossfix-test-never", "--target", "cpu", "--build-arg", f"RUNTIME_IMAGE={base_image}"
    )
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
