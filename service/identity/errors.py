"""Errors of the use cases, as plain exceptions that know nothing of HTTP."""

from uuid import UUID

from service.contract.errors import CrossfixError


class NotFoundError(CrossfixError):
    """There is no such vessel, sighting, match or chip.

    Attributes:
        vessel_id: the vessel that the missing one was merged into, if it was.
    """

    kind = "not-found"

    def __init__(self, message: str, vessel_id: UUID | None = None) -> None:
        super().__init__(message)
        self.vessel_id = vessel_id


class ConflictError(CrossfixError):
    """The request contradicts what is registered.

    Attributes:
        vessel_id: the vessel that causes the conflict, if there is one.
    """

    kind = "conflict"

    def __init__(self, message: str, vessel_id: UUID | None = None) -> None:
        super().__init__(message)
        self.vessel_id = vessel_id


class InvalidRequestError(CrossfixError):
    """Each value is well-formed, but together they make no sense."""

    kind = "invalid-request"


class StoreUnavailableError(CrossfixError):
    """A store does not answer; nothing was acknowledged.

    Attributes:
        may_pass: whether the store may answer later by itself.
    """

    kind = "store-unavailable"
    may_pass = True


class StoreDamagedError(StoreUnavailableError):
    """A stored record is not what was written; it is not used for any answer."""

    kind = "store-damaged"


class StoreFullError(CrossfixError):
    """The disk is full; nothing was changed."""

    kind = "store-full"
