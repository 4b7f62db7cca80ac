"""The result of comparing a stored record with its digest."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class RecordState(StrEnum):
    """What a check found: intact, damaged, or without a digest to compare with."""

    INTACT = "intact"
    UNVERIFIED = "unverified"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """A stored record and its state; `kind` is e.g. `vessel`, `problem` is set for damage."""

    kind: str
    id: UUID
    state: RecordState
    problem: str | None = None
