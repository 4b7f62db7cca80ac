"""The result of comparing a stored record with its digest."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """A stored record; `kind` is e.g. `vessel`, `problem` says what is damaged, if anything is."""

    kind: str
    id: UUID
    problem: str | None = None
