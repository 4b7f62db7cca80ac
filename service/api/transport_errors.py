"""Errors of the HTTP exchange itself: authentication, limits, media types, idempotency keys."""

from service.contract.errors import CrossfixError


class MediaTypeError(CrossfixError):
    """The request is written in another way than is read here."""

    kind = "media-type"


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
