"""The digest by which two requests are the same."""

import pytest
from hypothesis import given, strategies as st
from starlette.requests import Request

from service.api.middleware.replay import RequestDigest


def digest(
    body: bytes,
    content_type: str = "",
    path: str = "/match",
    query: str = "",
    chunk_bytes: int = 10**9,
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
    request_digest = RequestDigest(Request(scope))
    for start in range(0, len(body), chunk_bytes):
        request_digest.update(body[start : start + chunk_bytes])
    return request_digest.hexdigest()


def form(boundary: str, content: bytes) -> tuple[bytes, str]:
    delimiter = b"--" + boundary.encode()
    head = b'\r\nContent-Disposition: form-data; name="chip"; filename="x"\r\n\r\n'
    body = delimiter + head + content + b"\r\n" + delimiter + b"--\r\n"
    return body, f'multipart/form-data; boundary="{boundary}"'


def test_another_boundary_gives_the_same_digest() -> None:
    assert digest(*form("one", b"chip")) == digest(*form("another", b"chip"))


def test_other_content_gives_another_digest() -> None:
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
def test_every_part_of_a_request_changes_the_digest(other: dict[str, str]) -> None:
    assert digest(**{"body": b"{}", **other}) != digest(b"{}")  # type: ignore[arg-type]


@given(
    content=st.binary(max_size=60).map(
        lambda raw: raw.translate(bytes(b"-ab\r\n"[i % 5] for i in range(256)))
    ),
    chunk_bytes=st.integers(1, 40),
)
def test_chunk_sizes_do_not_change_the_digest(content: bytes, chunk_bytes: int) -> None:
    body, content_type = form("ab", content)
    assert digest(body, content_type, chunk_bytes=chunk_bytes) == digest(body, content_type)
