"""Foreign web pages are kept away while no key is asked for."""

import pytest
from starlette.datastructures import Headers

from service.api.middleware.allowed_origins import AllowedOrigins
from service.api.transport_errors import ForbiddenError

ALONE = AllowedOrigins(frozenset(), frozenset(), any_host=False)


def asks(neighbours: AllowedOrigins, **headers: str) -> bool:
    try:
        neighbours.check(Headers(headers))
    except ForbiddenError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "LOCALHOST:1", ""])
def test_this_machine_may_ask(host: str) -> None:
    assert asks(ALONE, host=host)
    assert not host or asks(ALONE, host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "192.0.2.1", "localhost.evil.example", "[::1", "a@b"],
)
def test_a_name_that_was_bent_to_loopback_is_refused(host: str) -> None:
    assert not asks(ALONE, host=host)
    assert not asks(ALONE, host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://127.0.0.1:3000", "http://[", "127.0.0.1:8080"],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert not asks(ALONE, host="127.0.0.1:8080", origin=origin)


def test_listed_names_and_origins_may_ask() -> None:
    some = AllowedOrigins(
        frozenset({"https://desk.example"}), frozenset({"ships.example"}), any_host=False
    )
    assert asks(some, host="ships.example")
    assert asks(some, host="127.0.0.1:8080", origin="https://ships.example")
    assert asks(some, host="127.0.0.1:8080", origin="https://desk.example")
    assert not asks(some, host="127.0.0.1:8080", origin="http://desk.example")
    everybody = AllowedOrigins(frozenset({"*"}), frozenset(), any_host=True)
    assert asks(everybody, host="any.example", origin="https://other.example")
