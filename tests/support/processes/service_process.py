"""A real `crossfix serve` process for tests."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.settings import SHIPPED_BUNDLE

START_LIMIT_S = 180.0
"""A service starts in seconds, and in minutes while others need the processors."""


@dataclass(frozen=True)
class ServiceProcess:
    """A running service.

    Attributes:
        url: where it answers.
        process: its process.
        ready_after_s: seconds from its start until it was ready.
        hindered_s: seconds of these in which its main thread could run and had no processor.
        log: its output.
        trusted: which certificates a client believes; None without TLS.
    """

    url: str
    process: subprocess.Popen[bytes]
    ready_after_s: float
    hindered_s: float
    log: Path
    trusted: ssl.SSLContext | None = None

    def client(self, timeout_s: float = 60.0, key: str | None = None) -> httpx.Client:
        """A client, which shows an API key where one is given."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.url, timeout=timeout_s, headers=headers, verify=self.trusted or False
        )

    def resident_mb(self) -> float:
        """Resident memory of the process, MB (Linux)."""
        return _resident_mb(self.process.pid)

    def resident_mb_of_all(self) -> float:
        """Sum of the resident memory of the process and of those that it started, MB (Linux)."""
        return sum(map(_resident_mb, _with_descendants(self.process.pid)))

    def processor_s_of_all(self) -> float:
        """Sum of the processor time of the process and of those that it started, s (Linux)."""
        return sum(map(processor_s, _with_descendants(self.process.pid)))


@contextmanager
def running_service(
    folder: Path,
    bundle: Path = SHIPPED_BUNDLE,
    settings: Mapping[str, str] | None = None,
    trusted: ssl.SSLContext | None = None,
    awaited: str = "/readyz",
) -> Iterator[ServiceProcess]:
    """Start the service on a free port with its data under `folder`; stop it at the end.

    With `trusted`, which certificates are believed, it is spoken to by https. The block begins when
    the path `awaited` is answered with 200.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CROSSFIX_")} | {
        "CROSSFIX_DATA_DIR": str(folder / "data"),
        "CROSSFIX_BUNDLE": str(bundle),
        "CROSSFIX_PORT": str(port),
        "CROSSFIX_DEVICE": "cpu",
        **(settings or {}),
    }
    log = folder / "service.log"
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli.main", "serve"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        url = f"{'https' if trusted else 'http'}://127.0.0.1:{port}"
        wait_until_ready(url, process, log, trusted, awaited)
        ready_after_s = time.monotonic() - began
        yield ServiceProcess(url, process, ready_after_s, _hindered_s(process.pid), log, trusted)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise


def _resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 for one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = [one.split()[1] for one in status.splitlines() if one.startswith("VmRSS:")]
    return sum(map(int, kilobytes)) / 1000.0


def processor_s(pid: int) -> float:
    """Return the processor time that a running process has used, s (Linux)."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock of clock_getcpuclockid(3)


def _with_descendants(pid: int) -> list[int]:
    """Return a process and those that it and its children started."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [one for child in started for one in _with_descendants(int(child))]
    return found


def _hindered_s(pid: int) -> float:
    """Return for how many seconds the main thread waited for a processor (Linux)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def wait_until_ready(
    url: str,
    process: subprocess.Popen[bytes],
    log: Path,
    trusted: ssl.SSLContext | None = None,
    path: str = "/readyz",
) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with httpx.Client(base_url=url, timeout=10, verify=trusted or False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the service stopped at its start:\n{log.read_text()[-4000:]}")
            try:
                if client.get(path).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the service was not ready in time:\n{log.read_text()[-4000:]}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
