"""One process that serves until it is told to stop."""

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

log = logging.getLogger("crossfix")

FAILED, USAGE = 1, 2
CLOSING_S = 8.0
"""What closing the stores may take after the last request."""


def run(settings: Settings) -> NoReturn:
    """Serve until SIGINT or SIGTERM, let requests finish, and leave with status 0.

    What has not finished after `stop_grace_s` is cut off, and after another `CLOSING_S` the
    process ends as it is, with status 1: nothing acknowledged is lost by that.

    The port is taken before the models are loaded, so that a taken port is told at once, but
    nobody can connect before the service is there. Logs are JSON lines on standard error.
    What keeps it from starting is logged, and it leaves with status 1, or 2 for a wrong setting.
    """
    configure_logging()
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
    log.info("listening", extra={"fields": {"url": f"{scheme}://{_bracketed(host)}:{port}"}})
    # uvicorn raises the signal that stopped it once more when all is closed
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)
    server = DeadlineServer(config, settings.stop_grace_s + CLOSING_S)
    server.run(sockets=[listener])
    sys.exit(0 if server.started else FAILED)


class DeadlineServer(uvicorn.Server):
    """A server that leaves in time, even if something that it waits for does not end."""

    def __init__(self, config: uvicorn.Config, leaves_within_s: float) -> None:
        super().__init__(config)
        self._leaves_within_s = leaves_within_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        last_call = threading.Timer(self._leaves_within_s, _leave_as_it_is)
        last_call.daemon = True
        last_call.start()
        await super().shutdown(sockets)


def _leave_as_it_is() -> NoReturn:
    log.error("something did not end in time; leaving as it is")
    os._exit(FAILED)


def _cannot_start(error: Exception) -> NoReturn:
    log.error("cannot start: %s", error)
    sys.exit(USAGE if isinstance(error, SettingsError) else FAILED)


def require_certificate(settings: Settings) -> None:
    """Raises SettingsError when a certificate or its key was set and cannot be used."""
    if settings.tls_cert is None:
        return
    try:
        # Without a password given, an encrypted key would ask for one at the terminal.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}TLS_CERT {settings.tls_cert} and {PREFIX}TLS_KEY {settings.tls_key} are no "
            f"certificate and its unencrypted key in PEM: {error}"
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
    """A bound socket; it accepts nobody until the server listens on it.

    Raises:
        OSError: the address is taken or not of this machine; the message names it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        # asyncio turns off Nagle's delay, 40 ms an answer, only where the protocol says TCP.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{host}:{port} cannot be listened on: {reason}; choose another") from error
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
