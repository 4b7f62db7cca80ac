"""A receiver of webhooks that keeps what it gets and answers as it is told."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True)
class Received:
    """A request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, key: bytes) -> bool:
        """Whether one of its signatures is that of the key, and the time is the present."""
        content = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode()])
        mac = hmac.new(key, content + b"." + self.body, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(mac).decode()
        fresh = abs(int(self.headers["webhook-timestamp"]) - time.time()) < 300
        return fresh and expected in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """Its address, the next answer and the requests so far.

    Attributes:
        delay_s: how long an answer takes.
        endless: whether the body of an answer never ends.
    """

    url: str
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    endless: bool = False
    requests: list[Received] = field(default_factory=list)

    def wait_for(self, wanted: Callable[[], bool], limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while not wanted():
            assert time.monotonic() < deadline, f"{len(self.requests)} requests arrived"
            time.sleep(0.02)


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port until the end of the block."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Received(self.path, headers, body))
            ended.wait(receiver.delay_s)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            if not receiver.endless:
                self.send_header("Content-Length", "0")
            self.end_headers()
            while receiver.endless and not ended.is_set():
                self.wfile.write(bytes(65536))

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            return  # a client that hangs up is wanted

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/new?from=crossfix")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            ended.set()
            server.shutdown()
            thread.join()
