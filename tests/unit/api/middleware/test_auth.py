"""The key that a request carries."""

import pytest
from starlette.datastructures import Headers

from service.api.middleware.auth import sent_key
from service.api.transport_errors import UnauthenticatedError


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])


def test_the_key_is_read_from_either_header() -> None:
    assert sent_key(headers(("authorization", "bearer  cfx_1 "))) == "cfx_1"
    assert sent_key(headers(("x-api-key", "cfx_1"))) == "cfx_1"
    assert sent_key(headers(("x-api-key", ""))) is None
    assert sent_key(headers()) is None
    with pytest.raises(UnauthenticatedError, match="Bearer"):
        sent_key(headers(("authorization", "Basic YTpi")))


@pytest.mark.parametrize(("name", "prefix"), [("authorization", "Bearer "), ("x-api-key", "")])
def test_of_two_keys_none_is_used(name: str, prefix: str) -> None:
    """A proxy and the service could take different ones."""
    both = sent_key(headers((name, f"{prefix}cfx_1"), (name, f"{prefix}cfx_2")))
    assert both not in ("cfx_1", "cfx_2")
    assert both
