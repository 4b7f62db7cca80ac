"""A redis-server of one's own."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis


class RedisServer:
    """A redis-server without persistence, on a Unix socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        binary = shutil.which("redis-server")
        assert binary, "redis-server is missing; install it with: apt-get install redis-server"
        self._folder = folder
        self._socket = folder / "redis.sock"
        options = ["--port", "0", "--save", "", "--appendonly", "no"]
        self._command = [binary, "--unixsocket", str(self._socket), *options]
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        """Start it, for the first time or after it was killed."""
        self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=subprocess.DEVNULL)
        with redis.Redis(unix_socket_path=str(self._socket)) as client:
            _wait_for(client)

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Run a redis-server until the end of the block."""
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()


def _wait_for(client: "redis.Redis") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "redis-server did not start within 20 s"
            time.sleep(0.02)
