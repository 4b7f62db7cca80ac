"""The listening socket: asyncio disables Nagle's delay only if the socket's protocol is TCP."""

import socket

import pytest

from service.server.run import listen_on


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_protocol_of_accepted_connections_is_tcp(host: str) -> None:
    with listen_on(host, 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.proto == socket.IPPROTO_TCP
