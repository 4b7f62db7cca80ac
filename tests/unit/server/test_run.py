"""The listening socket: asyncio answers without Nagle's delay only on sockets that say TCP."""

import socket

import pytest

from service.server.run import listen_on


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_accepted_connections_will_be_known_as_tcp(host: str) -> None:
    with listen_on(host, 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.proto == socket.IPPROTO_TCP
