"""A redis-server of one's own."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis


@dataclass
class RedisServer:
    """A running redis-server without persistence, on a Unix socket."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Start one in this folder; after it was killed, another can be started at the same address."""
    binary = shutil.which("redis-server")
    assert binary, "redis-server is missing; install it with: apt-get install redis-server"
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    server = RedisServer(f"unix://{path}", process)
    try:
        with redis.Redis(unix_socket_path=str(path)) as client:
            _wait_for(client)
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
