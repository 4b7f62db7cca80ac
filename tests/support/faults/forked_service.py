"""Run `crossfix` in processes forked from a process that has imported it.

Tests kill hundreds of processes, so a start must not take seconds.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from service.settings import SHIPPED_BUNDLE
from tests.support.faults.small_disk import enter_namespace
from tests.support.processes.service_process import free_port

FORKS = multiprocessing.get_context("forkserver")
START_LIMIT_S = 60.0


@dataclass(frozen=True)
class ForkedService:
    """A running service."""

    url: str
    process: BaseProcess
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def client(self, timeout_s: float = 60.0) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout_s)

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        self.process.kill()
        self.process.join()

    def stop(self, limit_s: float = 60.0) -> None:
        """Send SIGTERM and assert that the process ends by itself with status 0."""
        self.process.terminate()
        self.process.join(limit_s)
        assert self.process.exitcode == 0, (self.process.exitcode, self.log.read_text()[-4000:])


def run_command(
    *arguments: str,
    data: Path,
    log: Path,
    settings: Mapping[str, str] | None = None,
    namespace_of: int | None = None,
) -> BaseProcess:
    """Start `crossfix` with these arguments on a data folder; append its output to `log`.

    Args:
        arguments: of the command.
        data: the folder, as the command sees it.
        log: a file.
        settings: further environment variables.
        namespace_of: a process whose mount namespace the command enters.
    """
    FORKS.set_forkserver_preload(
        ["service.server.run", "service.cli.main", "service.wiring.maintenance"]
    )
    environment = {
        "CROSSFIX_DATA_DIR": str(data),
        "CROSSFIX_BUNDLE": str(SHIPPED_BUNDLE),
        "CROSSFIX_DEVICE": "cpu",
        "CROSSFIX_THREADS": "1",
        "CROSSFIX_RATE_LIMIT_PER_MINUTE": "0",
        **(settings or {}),
    }
    process = FORKS.Process(target=_run, args=(arguments, environment, log, namespace_of))
    process.start()
    return process


def start_service(
    data: Path,
    log: Path,
    settings: Mapping[str, str] | None = None,
    wait: bool = True,
    namespace_of: int | None = None,
) -> ForkedService:
    """Start `crossfix serve` on a data folder; with `wait`, return when it is ready."""
    port = free_port()
    settings = {**(settings or {}), "CROSSFIX_PORT": str(port)}
    process = run_command("serve", data=data, log=log, settings=settings, namespace_of=namespace_of)
    service = ForkedService(f"http://127.0.0.1:{port}", process, log)
    if wait:
        wait_until_ready(service)
    return service


def wait_until_ready(service: ForkedService) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with service.client(10.0) as client:
        while time.monotonic() < deadline:
            assert service.process.is_alive(), service.log.read_text()[-4000:]
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
    raise AssertionError(f"not ready in time:\n{service.log.read_text()[-4000:]}")


def _run(
    arguments: tuple[str, ...], environment: Mapping[str, str], log: Path, namespace_of: int | None
) -> None:
    if namespace_of is not None:
        enter_namespace(namespace_of)
    for name in [name for name in os.environ if name.startswith("CROSSFIX_")]:
        del os.environ[name]
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["crossfix", *arguments]
    from service.cli.main import main

    main(list(arguments))
