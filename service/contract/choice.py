"""Words that a sender chooses from, such as `sar` and `optical`."""

from enum import StrEnum
from typing import Self


class Choice(StrEnum):
    """Words in lower case, which senders may write in any case and with blanks around them."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        word = value.strip().lower() if isinstance(value, str) else value
        return next((choice for choice in cls if choice.value == word), None)
