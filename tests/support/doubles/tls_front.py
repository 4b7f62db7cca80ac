"""A TLS front of a store that speaks plainly, and the certificate that it shows."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Connect = Callable[[], socket.socket]


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, and its key."""

    path: Path
    key: Path


def new_certificate(folder: Path, names: str) -> Certificate:
    """Make a certificate for these names, e.g. `IP:127.0.0.1`."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing; install it with: apt-get install openssl"
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=crossfix", "-addext", f"subjectAltName={names}"]
    command += ["-keyout", str(made.key), "-out", str(made.path)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@contextmanager
def tls_front(certificate: Certificate, connect: Connect) -> Iterator[int]:
    """Accept TLS connections on a port of 127.0.0.1, and pass them on to `connect()`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, context, connect))
        accepting.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listener: socket.socket, context: ssl.SSLContext, connect: Connect) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(plain, context, connect), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, connect: Connect) -> None:
    with (
        plain,
        suppress(OSError),
        context.wrap_socket(plain, server_side=True) as client,
        connect() as store,
    ):
        answers = threading.Thread(target=_pass_on, args=(store, client), daemon=True)
        answers.start()
        _pass_on(client, store)
        answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
