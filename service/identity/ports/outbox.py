"""The port of the outbox: matches that were answered and could not be stored yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from service.identity.records.match_records import MatchRecord
from service.identity.records.sightings import EmbeddedSighting


@dataclass(frozen=True, slots=True)
class AnsweredMatch:
    """What is stored of a match: its chips with their open sightings, and its record."""

    chips: Sequence[tuple[bytes, EmbeddedSighting]]
    record: MatchRecord


class Outbox(Protocol):
    """Keeps matches, within limits, until the stores take them. Safe to call from many threads."""

    def put(self, match: AnsweredMatch) -> None:
        """Keep a match so that it survives a crash; raise a store error if it was not kept."""

    def ids(self) -> Sequence[UUID]:
        """Return the ids of the matches that wait, the oldest first."""

    def get(self, match_id: UUID) -> AnsweredMatch | None:
        """Return a match; None if it was removed, or is damaged and was put aside."""

    def remove(self, match_id: UUID) -> None:
        """Remove a match that is stored now; an absent one is ignored."""
