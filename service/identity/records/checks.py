"""The result of comparing a stored record with its digest."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class RecordState(StrEnum):
    """What a check found."""

    INTACT = "intact"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """A stored record; `kind` is e.g. `vessel`, `problem` says what is damaged, if anything is."""

    kind: str
    id: UUID
    problem: str | None = None

    @property
    def state(self) -> RecordState:
        """Whether the record is what was written."""
        return RecordState.INTACT if self.problem is None else RecordState.DAMAGED
