"""Requests of foreign web pages are rejected while no key is required."""

import pytest
from starlette.datastructures import Headers

from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.transport_errors import ForbiddenError

NONE_LISTED = AllowedOrigins(frozenset(), frozenset(), any_host=False)


def accepts(allowed_origins: AllowedOrigins, **headers: str) -> bool:
    try:
        allowed_origins.check(Headers(headers))
    except ForbiddenError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "LOCALHOST:1", ""])
def test_loopback_hosts_are_accepted(host: str) -> None:
    assert accepts(NONE_LISTED, host=host)
    assert not host or accepts(NONE_LISTED, host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "192.0.2.1", "localhost.evil.example", "[::1", "a@b"],
)
def test_unlisted_host_names_are_rejected(host: str) -> None:
    assert not accepts(NONE_LISTED, host=host)
    assert not accepts(NONE_LISTED, host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://127.0.0.1:3000", "http://[", "127.0.0.1:8080"],
)
def test_pages_of_other_origins_are_rejected(origin: str) -> None:
    assert not accepts(NONE_LISTED, host="127.0.0.1:8080", origin=origin)


def test_listed_hosts_and_origins_are_accepted() -> None:
    listed = AllowedOrigins(
        frozenset({"https://desk.example"}), frozenset({"ships.example"}), any_host=False
    )
    assert accepts(listed, host="ships.example")
    assert accepts(listed, host="127.0.0.1:8080", origin="https://ships.example")
    assert accepts(listed, host="127.0.0.1:8080", origin="https://desk.example")
    assert not accepts(listed, host="127.0.0.1:8080", origin="http://desk.example")
    all_listed = AllowedOrigins(frozenset({"*"}), frozenset(), any_host=True)
    assert accepts(all_listed, host="any.example", origin="https://other.example")
