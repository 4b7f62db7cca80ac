"""The base of all records, positions, and checked texts."""

from collections.abc import Callable
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from service.identity.records.identifiers import (
    normalise_fact,
    normalise_line,
    normalise_note,
    normalise_text,
)

RECORDED = {"recorded": True}
"""Validation context for stored records: they stay readable when a rule becomes stricter."""


def only_when_new(check: Callable[[str], str]) -> Callable[[str, ValidationInfo], str]:
    """Apply a check to new values, and not to values read from the store."""

    def checked(text: str, info: ValidationInfo) -> str:
        return text if info.context == RECORDED else check(text)

    return checked


Text = Annotated[str, Field(max_length=200), AfterValidator(only_when_new(normalise_text))]
"""A word or name that means something."""

Fact = Annotated[str, Field(max_length=500), AfterValidator(only_when_new(normalise_fact))]
"""What a client states about a chip or a vessel; it means something."""

Line = Annotated[str, Field(max_length=500), AfterValidator(only_when_new(normalise_line))]
"""A text in one line."""

Note = Annotated[str, Field(max_length=2000), AfterValidator(only_when_new(normalise_note))]
"""What an analyst remarks."""


class Record(BaseModel):
    """An immutable record; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StatedFacts(Record):
    """A record of texts and numbers that a client states."""

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool):
            raise ValueError("expected a text or a number, got true or false")
        if not isinstance(value, str) or "_" not in value:
            return value
        kind = cls.model_fields[str(info.field_name)].annotation
        return plain_number(value) if kind in (float | None, int | None, int) else value


def plain_number(value: object) -> object:
    """Refuse digits that underscores group, which Python reads and people may mean otherwise."""
    if isinstance(value, str) and "_" in value:
        raise ValueError("expected digits without underscores")
    return value


PLAIN_NUMBER = BeforeValidator(plain_number)


class GeoPoint(Record):
    """A position, WGS 84, in degrees."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
