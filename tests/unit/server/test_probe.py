"""The health check asks the service the way it listens."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.server.probe import probe
from service.settings import Settings
from tests.support.service_process import free_port


class Answering(BaseHTTPRequestHandler):
    """Well at /livez, not ready at /readyz."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_service_that_is_well_passes_whatever_proxy_is_set(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    probe(Settings(port=port), "/livez")


def test_one_that_is_not_ready_or_not_there_fails(port: int) -> None:
    with pytest.raises(OSError, match="503"):
        probe(Settings(port=port), "/readyz")
    with pytest.raises(OSError, match="refused"):
        probe(Settings(port=free_port()), "/livez")


def test_the_command_ends_with_the_status_that_a_health_check_reads(port: int) -> None:
    for path, status in (("/livez", 0), ("/readyz", 1)):
        done = subprocess.run(
            [sys.executable, "-m", "service.server.probe", path],
            env={"CROSSFIX_PORT": str(port)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
