"""Run a service for the demo as a child process with an embedded gallery."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from service.client.errors import LocalServiceError
from service.client.remote.client import Client

HOST = "127.0.0.1"
INHERITED_SETTINGS = ("CROSSFIX_BUNDLE", "CROSSFIX_DEVICE", "CROSSFIX_THREADS")
_POLL_S = 0.05
_STOP_S = 15.0
_READY_WITHIN_S = 120.0
_SHOWN_LOG_LINES = 12


class LocalService:
    """`crossfix serve` as a child process that ends with the `with` block.

    The child inherits no `CROSSFIX_` settings but `INHERITED_SETTINGS`, so that the demo never
    writes to a database that the environment names.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        bundle: Path | None = None,
        device: str | None = None,
    ) -> None:
        self._port = free_port() if port is None else port
        self._data_dir = data_dir
        self._bundle = bundle
        self._device = device
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{HOST}:{self._port}"
        self.log = data_dir / "service.log"

    def __enter__(self) -> "LocalService":
        """Start the service.

        Raises:
            LocalServiceError: another program, perhaps another service, has the port.
        """
        if _bindable(self._port) is None:
            raise LocalServiceError(f"port {self._port} is taken; choose another with --port")
        self._data_dir.mkdir(parents=True, exist_ok=True)
        arguments = ["--host", HOST, "--port", str(self._port), "--data-dir", str(self._data_dir)]
        if self._bundle is not None:
            arguments += ["--bundle", str(self._bundle)]
        if self._device is not None:
            arguments += ["--device", self._device]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.cli.main", "serve", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_child_environment(),
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ready(self, client: Client) -> float:
        """Wait until the service is ready; return seconds until then.

        Raises:
            LocalServiceError: it ended or did not become ready; with its last log lines.
        """
        started = time.monotonic()
        while not client.is_ready():
            if self.has_ended:
                raise LocalServiceError(f"the service did not start:\n{self.last_lines()}")
            if time.monotonic() - started > _READY_WITHIN_S:
                raise LocalServiceError(
                    f"the service was not ready after {_READY_WITHIN_S:.0f} s:\n{self.last_lines()}"
                )
            time.sleep(_POLL_S)
        return time.monotonic() - started

    def wait(self) -> int:
        """Wait until the service ends by itself and return its exit status."""
        if self._process is None:
            raise LocalServiceError("the service was not started")
        return self._process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether the service is not running."""
        return self._process is None or self._process.poll() is not None

    def last_lines(self) -> str:
        """Return the end of the log, indented, for error messages."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_SHOWN_LOG_LINES:])


def free_port(preferred: int = 8080) -> int:
    """Return the preferred port of the loopback address, or any free one when it is taken."""
    port = _bindable(preferred) or _bindable(0)
    if port is None:
        raise LocalServiceError(f"no port of {HOST} is free")
    return port


def _bindable(port: int) -> int | None:
    """Return the port if it is free, for 0 any free port; None when it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _child_environment() -> dict[str, str]:
    """Return the environment without settings that lead away from the embedded gallery."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CROSSFIX_") or name in INHERITED_SETTINGS
    }
