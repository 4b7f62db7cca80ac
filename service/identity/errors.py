"""What can go wrong in a use case, as plain exceptions without HTTP words."""

from uuid import UUID

from service.contract.errors import CrossfixError


class NotFoundError(CrossfixError):
    """No such vessel, sighting or chip."""

    kind = "not-found"


class ConflictError(CrossfixError):
    """The request contradicts what is already known.

    Attributes:
        vessel_id: the vessel that is in the way, where there is one.
    """

    kind = "conflict"

    def __init__(self, message: str, vessel_id: UUID | None = None) -> None:
        super().__init__(message)
        self.vessel_id = vessel_id


class InvalidRequestError(CrossfixError):
    """The values are each well-formed but make no sense together."""

    kind = "invalid-request"


class StoreUnavailableError(CrossfixError):
    """A store does not answer; nothing was acknowledged."""

    kind = "store-unavailable"


class StoreFullError(CrossfixError):
    """The disk is full; nothing was changed."""

    kind = "store-full"
