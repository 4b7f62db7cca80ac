"""An outbox without room."""

from collections.abc import Sequence
from uuid import UUID

from service.identity.errors import StoreFullError
from service.identity.ports.outbox import AnsweredMatch


class NoOutbox:
    """An `Outbox` without room."""

    def put(self, match: AnsweredMatch) -> None:
        raise StoreFullError(f"match {match.record.id} cannot be kept: there is no outbox")

    def ids(self) -> Sequence[UUID]:
        return ()

    def get(self, match_id: UUID) -> AnsweredMatch | None:
        return None

    def remove(self, match_id: UUID) -> None:
        return
