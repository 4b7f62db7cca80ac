"""The health check connects to the service with the service's own settings."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.server.probe import probe
from service.settings import Settings
from tests.support.processes.service_process import free_port


class StubService(BaseHTTPRequestHandler):
    """Answers 200 at /livez and 503 at every other path."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), StubService) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_healthy_service_passes_and_proxy_settings_are_ignored(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    probe(Settings(port=port), "/livez")


def test_service_that_is_not_ready_or_not_running_fails(port: int) -> None:
    with pytest.raises(OSError, match="503"):
        probe(Settings(port=port), "/readyz")
    with pytest.raises(OSError, match="refused"):
        probe(Settings(port=free_port()), "/livez")


def test_command_exits_with_0_if_healthy_and_1_if_not(port: int) -> None:
    for path, status in (("/livez", 0), ("/readyz", 1)):
        done = subprocess.run(
            [sys.executable, "-m", "service.server.probe", path],
            env={"CROSSFIX_PORT": str(port)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
