"""Run the service as a process until it receives a signal."""

import ctypes
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from service.contract.errors import CrossfixError
from service.observability.metrics import configure_logging
from service.server.slow_clients import slow_client_protocol
from service.settings import PREFIX, Settings, SettingsError
from service.wiring.app import create_app
from service.wiring.stores import protect_data_folder

log = logging.getLogger("crossfix")

FAILED, USAGE = 1, 2
CLOSING_S = 8.0
"""Seconds that closing the stores may take after the last request."""
M_MMAP_THRESHOLD = -3
"""The option of `mallopt`, from glibc's malloc.h."""
LARGE_BLOCK_BYTES = 4 * 2**20
"""Only the pixels of large chips are as large."""
COLLECT_AFTER_OBJECTS = 10_000
"""Python's default is 700, of which a match makes more; few of them are in cycles."""


def run(settings: Settings) -> NoReturn:
    """Serve until SIGINT or SIGTERM, let requests finish, and exit with status 0.

    Requests that have not finished after `stop_grace_s` are aborted. If the stores are not closed
    after another `CLOSING_S`, the process exits at once with status 1; acknowledged changes are
    durable by then.

    The port is bound before the models are loaded, so that a port in use is reported at once;
    clients can connect once the models are loaded. Logs are JSON lines on standard error. An error
    that prevents the start is logged; the exit status is 2 for a wrong setting, otherwise 1.
    """
    configure_logging()
    _return_large_blocks()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    protect_data_folder(settings)
    try:
        require_certificate(settings)
        listener = listen_on(settings.host, settings.port)
    except (SettingsError, OSError) as error:
        _cannot_start(error)
    try:
        app = create_app(settings)
    except (CrossfixError, SettingsError, OSError) as error:
        listener.close()
        _cannot_start(error)
    listener.listen()
    host, port = listener.getsockname()[:2]
    config = _config(app, settings)
    scheme = "https" if config.is_ssl else "http"
    url_host = f"[{host}]" if ":" in host else host
    log.info("listening", extra={"fields": {"url": f"{scheme}://{url_host}:{port}"}})
    # uvicorn raises the signal that stopped it again after everything is closed.
    signal.signal(signal.SIGINT, _exit)
    signal.signal(signal.SIGTERM, _exit)
    server = DeadlineServer(config, settings.stop_grace_s + CLOSING_S)
    server.run(sockets=[listener])
    sys.exit(0 if server.started else FAILED)


def _return_large_blocks() -> None:
    """Have freed blocks of `LARGE_BLOCK_BYTES` and more given back to the system at once.

    Otherwise glibc learns from the first large chips to keep such blocks, in an arena of each
    thread, and dozens of chips at once cost hundreds of megabytes for good.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


class DeadlineServer(uvicorn.Server):
    """A server that ends the process if shutting down takes longer than `shutdown_timeout_s`."""

    def __init__(self, config: uvicorn.Config, shutdown_timeout_s: float) -> None:
        super().__init__(config)
        self._shutdown_timeout_s = shutdown_timeout_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, or end the process at the deadline."""
        deadline = threading.Timer(self._shutdown_timeout_s, _exit_now)
        deadline.daemon = True
        deadline.start()
        await super().shutdown(sockets)


def _exit_now() -> NoReturn:
    log.error("shutting down took too long; the process exits now")
    os._exit(FAILED)


def _cannot_start(error: Exception) -> NoReturn:
    log.error("cannot start: %s", error)
    sys.exit(USAGE if isinstance(error, SettingsError) else FAILED)


def require_certificate(settings: Settings) -> None:
    """Check that the certificate and its key, if set, can be used.

    Raises:
        SettingsError: they cannot be read, or do not belong together.
    """
    if settings.tls_cert is None:
        return
    try:
        # Without a password, OpenSSL would prompt for the one of an encrypted key.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}TLS_CERT {settings.tls_cert} and {PREFIX}TLS_KEY {settings.tls_key} are not "
            f"a certificate and its unencrypted key in PEM: {error}"
        ) from error


def _config(app: Starlette, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=slow_client_protocol(settings.header_timeout_s, settings.request_timeout_s),
        ws="none",
        log_config=None,
        timeout_graceful_shutdown=settings.stop_grace_s,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def listen_on(host: str, port: int) -> socket.socket:
    """Return a bound socket; it accepts no connection until the server listens on it.

    Raises:
        OSError: the address is in use or not of this machine; the message names it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        # asyncio disables Nagle's delay, 40 ms a response, only if the socket's protocol is TCP.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot listen on {host}:{port}: {reason}; choose another") from error
    return listener


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
