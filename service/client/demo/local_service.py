"""A service of one's own for the demo: a child process on the embedded default."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from service.client.errors import LocalServiceError
from service.client.http import CrossfixClient

HOST = "127.0.0.1"
KEPT_SETTINGS = ("CROSSFIX_BUNDLE", "CROSSFIX_DEVICE", "CROSSFIX_THREADS")
_POLL_S = 0.05
_STOP_S = 15.0
_LAST_LINES = 12


class LocalService:
    """`crossfix serve` as a child process, which ends with the `with` block.

    The child sees no `CROSSFIX_` settings but the bundle, the device and the threads, so that the
    demo never writes to a database that the environment points to.

    Attributes:
        url: where it listens.
        log: file that takes its log lines.
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
        """Raises LocalServiceError when another program, perhaps a real service, has the port."""
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
                env=_quiet_environment(),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ready(self, client: CrossfixClient, limit_s: float = 120.0) -> float:
        """Wait until it can do its job.

        Returns:
            seconds that it took.

        Raises:
            LocalServiceError: it ended or did not become ready; tells its last log lines.
        """
        began = time.monotonic()
        while not client.is_ready():
            if self.has_ended:
                raise LocalServiceError(f"the service did not start:\n{self.last_lines()}")
            if time.monotonic() - began > limit_s:
                raise LocalServiceError(
                    f"the service was not ready after {limit_s:.0f} s:\n{self.last_lines()}"
                )
            time.sleep(_POLL_S)
        return time.monotonic() - began

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        if self._process is None:
            raise LocalServiceError("the service was not started")
        return self._process.wait()

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def last_lines(self) -> str:
        """The end of its log, for messages."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])


def free_port(preferred: int = 8080) -> int:
    """The preferred port of the loopback address, or any other one when it is taken."""
    port = _bindable(preferred) or _bindable(0)
    if port is None:
        raise LocalServiceError(f"no port of {HOST} is free")
    return port


def _bindable(port: int) -> int | None:
    """The port if it is free, for 0 any free one; None when it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _quiet_environment() -> dict[str, str]:
    """The environment without settings that lead away from the embedded default."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CROSSFIX_") or name in KEPT_SETTINGS
    }
