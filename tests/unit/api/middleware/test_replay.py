"""What makes two requests the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.api.middleware.replay import RequestDigest


def digest(
    body: bytes, content_type: str = "", path: str = "/match", query: str = "", piece: int = 10**9
) -> str:
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"content-type", content_type.encode())] if content_type else [],
        "server": ("127.0.0.1", 8080),
        "scheme": "http",
    }
    one = RequestDigest(Request(scope))
    for start in range(0, len(body), piece):
        one.update(body[start : start + piece])
    return one.hexdigest()


def form(boundary: str, content: bytes) -> tuple[bytes, str]:
    mark = b"--" + boundary.encode()
    head = b'\r\nContent-Disposition: form-data; name="chip"; filename="x"\r\n\r\n'
    body = mark + head + content + b"\r\n" + mark + b"--\r\n"
    return body, f'multipart/form-data; boundary="{boundary}"'


def test_a_new_boundary_says_the_same() -> None:
    assert digest(*form("one", b"chip")) == digest(*form("another", b"chip"))


def test_other_content_says_something_else() -> None:
    assert digest(*form("one", b"chip")) != digest(*form("one", b"ship"))


@pytest.mark.parametrize(
    "other",
    [
        {"body": b"{} "},
        {"body": b"{}", "path": "/verify"},
        {"body": b"{}", "query": "a=1"},
        {"body": b"{}", "content_type": "text/plain"},
    ],
)
def test_every_part_of_a_request_counts(other: dict[str, str]) -> None:
    assert digest(**{"body": b"{}", **other}) != digest(b"{}")  # type: ignore[arg-type]


@given(
    content=st.binary(max_size=60).map(
        lambda raw: raw.translate(bytes(b"-ab\r\n"[i % 5] for i in range(256)))
    ),
    piece=st.integers(1, 40),
)
def test_the_pieces_it_arrives_in_do_not_matter(content: bytes, piece: int) -> None:
    body, content_type = form("ab", content)
    assert digest(body, content_type, piece=piece) == digest(body, content_type)
