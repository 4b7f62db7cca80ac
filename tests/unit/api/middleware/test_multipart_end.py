"""A multipart form that was cut off is detected, however its body is chunked."""

import itertools

import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import Headers

from service.api.middleware.multipart_end import MultipartEnd

FORM = b'--b0\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b0--\r\n'


def form_end(content_type: str) -> MultipartEnd | None:
    return MultipartEnd.of(Headers({"content-type": content_type}))


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "multipart/mixed; boundary=b0", ""]
)
def test_only_a_form_with_a_boundary_has_a_closing_delimiter(content_type: str) -> None:
    assert form_end(content_type) is None


@given(st.lists(st.integers(0, len(FORM)), max_size=8))
def test_delimiter_is_found_at_any_chunking(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FORM)]
    searched = form_end('Multipart/Form-Data; boundary="b0"')
    assert searched is not None
    for begin, end in itertools.pairwise(edges):
        searched.search(FORM[begin:end])
    assert not searched.missing


@given(st.integers(1, len(FORM) - len(b"-\r\n")))
def test_delimiter_is_missing_wherever_the_form_is_cut(length: int) -> None:
    searched = form_end("multipart/form-data; boundary=b0")
    assert searched is not None
    searched.search(FORM[:length])
    assert searched.missing


def test_an_empty_body_is_not_a_cut_body() -> None:
    searched = form_end("multipart/form-data; boundary=b0")
    assert searched is not None
    searched.search(b"")
    assert not searched.missing
