"""Cursors are accepted as they were sent, by the list that sent them."""

from uuid import UUID

import pytest

from service.identity.errors import InvalidRequestError
from service.storage.points.paging import cursor_after, next_id, resume_at

LAST = UUID("5f0c1f0e-3c1a-4d0b-9a55-6f1b8f7c2d10")


def test_a_cursor_resumes_after_its_point() -> None:
    assert resume_at("vessels", cursor_after("vessels", LAST)) == next_id(LAST)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="of this list"):
        resume_at("vessels", cursor_after("matches", LAST))


def test_a_cursor_that_was_changed_is_refused() -> None:
    cursor = cursor_after("vessels", LAST)
    for changed in (cursor.swapcase(), cursor[::-1], cursor[1:], f"A{cursor}", cursor[:22]):
        with pytest.raises(InvalidRequestError, match="unchanged"):
            resume_at("vessels", changed)


def test_a_long_cursor_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        resume_at("vessels", "A" * 5000)
    assert len(str(refusal.value)) < 200
