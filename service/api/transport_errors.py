"""Errors of the HTTP exchange itself: authentication, limits, media types, idempotency keys."""

from service.contract.errors import CrossfixError, OverloadedError


class MediaTypeError(CrossfixError):
    """The media type of the request is not supported."""

    kind = "media-type"


class NotAcceptableError(CrossfixError):
    """The client accepts none of the representations of the response."""

    kind = "not-acceptable"


class UnauthenticatedError(CrossfixError):
    """No valid key was sent."""

    kind = "unauthenticated"


class ForbiddenError(CrossfixError):
    """The caller's role or the origin of the web page does not allow the request."""

    kind = "forbidden"


class RateLimitedError(CrossfixError):
    """The caller exceeded its rate; nothing was done.

    Attributes:
        retry_after_s: seconds after which the next request is accepted.
    """

    kind = "rate-limited"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BodyTooLargeError(CrossfixError):
    """The body of the request exceeds the limit; nothing was done."""

    kind = "body-too-large"


class SlowUploadError(CrossfixError):
    """The body of the request did not arrive in time; nothing was done."""

    kind = "upload-too-slow"


class DisplacedUploadError(OverloadedError):
    """The request was refused while its body was arriving; nothing was done."""

    kind = "upload-displaced"


class RequestTimeoutError(CrossfixError):
    """The response was not ready in time; the work may still be completed."""

    kind = "took-too-long"


class IdempotencyKeyReusedError(CrossfixError):
    """The idempotency key belongs to another request."""

    kind = "idempotency-key-reused"


class RequestInProgressError(CrossfixError):
    """A request with the same idempotency key is in progress."""

    kind = "idempotency-in-progress"


class ResponseTooLargeError(CrossfixError):
    """The request was done before, but its response was too large to be stored."""

    kind = "idempotency-answer-too-large"
