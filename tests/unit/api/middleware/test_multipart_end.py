import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.api.middleware.multipart_end import MultipartEnd

FORM = b'--b0\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b0--\r\n'


def announced(content_type: str) -> MultipartEnd | None:
    return MultipartEnd.of(Headers({"content-type": content_type}))


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "multipart/mixed; boundary=b0", ""]
)
def test_only_a_form_with_a_boundary_has_an_end_to_look_for(content_type: str) -> None:
    assert announced(content_type) is None


@given(st.lists(st.integers(0, len(FORM)), max_size=8))
def test_the_end_is_found_wherever_the_chunks_are_parted(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(FORM)]
    closing = announced('Multipart/Form-Data; boundary="b0"')
    assert closing is not None
    for begin, end in itertools.pairwise(edges):
        closing.pass_by(FORM[begin:end])
    assert not closing.missing


@given(st.integers(1, len(FORM) - len(b"-\r\n")))
def test_every_form_that_is_cut_before_its_end_is_missing_it(length: int) -> None:
    closing = announced("multipart/form-data; boundary=b0")
    assert closing is not None
    closing.pass_by(FORM[:length])
    assert closing.missing


def test_no_body_is_no_cut_body() -> None:
    closing = announced("multipart/form-data; boundary=b0")
    assert closing is not None
    closing.pass_by(b"")
    assert not closing.missing
