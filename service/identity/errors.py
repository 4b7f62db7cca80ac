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


class MediaTypeError(CrossfixError):
    """The request is written in another way than is read here."""

    kind = "media-type"


class StoreUnavailableError(CrossfixError):
    """A store does not answer; nothing was acknowledged."""

    kind = "store-unavailable"


class StoreFullError(CrossfixError):
    """The disk is full; nothing was changed."""

    kind = "store-full"


class UnauthenticatedError(CrossfixError):
    """No key was shown, or one that opens nothing."""

    kind = "unauthenticated"


class ForbiddenError(CrossfixError):
    """The one who asks may not do this."""

    kind = "forbidden"


class RateLimitedError(CrossfixError):
    """More requests than agreed; nothing was done.

    Attributes:
        retry_after_s: seconds after which the next one is granted.
    """

    kind = "rate-limited"

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BodyTooLargeError(CrossfixError):
    """The request has more bytes than are taken; nothing was done."""

    kind = "body-too-large"


class SlowUploadError(CrossfixError):
    """The request did not arrive in time; nothing was done."""

    kind = "upload-too-slow"


class TookTooLongError(CrossfixError):
    """No answer in time; what was asked may still be done."""

    kind = "took-too-long"


class KeyReusedError(CrossfixError):
    """The idempotency key belongs to another request."""

    kind = "idempotency-key-reused"


class StillAnsweringError(CrossfixError):
    """The same request, with the same idempotency key, is being answered right now."""

    kind = "idempotency-in-progress"


class AnswerTooLargeError(CrossfixError):
    """The request was done before, but its answer was too large to be kept."""

    kind = "idempotency-answer-too-large"
