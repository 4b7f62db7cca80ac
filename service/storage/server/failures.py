"""Failures of a Qdrant server: which error they are, and whether a repeated call may succeed."""

from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from service.contract.errors import CrossfixError
from service.identity.errors import StoreFullError, StoreUnavailableError

REFUSED = (401, 403)
FULL_WORDS = ("No space left", "disk space", "out of disk")

PASSING_STATUSES = (408, 502, 503, 504)
PASSING_WORDS = (
    "active replica",
    "read operations failed",
    "via leader peer",
    "no leader could be selected",
    "Failed peer",
    "deactivation timed out",
    "Consistency of this update is not guaranteed",
    "Tonic",
    "transport error",
    "Deadline Exceeded",
    "error trying to connect",
    "consensus",
    "Not enough",
    "shards failed to apply operation",
    "Local shard",
)
"""What Qdrant says in a 500 when another node, and not the request, is the reason."""

NO_COLLECTION = "doesn't exist"
"""A node says so, with 404, until it has learnt of a collection that another node created."""

CLIENT_ERRORS = (
    *(UnexpectedResponse, ResponseHandlingException, ResourceExhaustedResponse),
    *(OSError, ValueError, AssertionError, AttributeError),
)
"""What the client raises. The last three stand for a success without JSON, or without a result."""


class KeyRefusedError(StoreUnavailableError):
    """The server does not accept the API key, which waiting does not change."""

    may_pass = False


def may_pass(error: Exception) -> bool:
    """Return whether the same call may succeed a moment later, or at another node."""
    if isinstance(error, UnexpectedResponse):
        text = error.content.decode(errors="replace")
        if _says_full(text):
            return False
        if error.status_code in PASSING_STATUSES:
            return True
        if error.status_code == 404:
            return "Collection" in text and NO_COLLECTION in text
        return error.status_code == 500 and any(words in text for words in PASSING_WORDS)
    return isinstance(error, (ResponseHandlingException, OSError))


def translated(error: Exception, address: str) -> CrossfixError:
    """Return the error of this service that stands for an error of the client."""
    if isinstance(error, UnexpectedResponse):
        text = error.content[:300].decode(errors="replace")
        if _says_full(error.content.decode(errors="replace")):
            return StoreFullError(f"the disk of the Qdrant server at {address} is full")
        if error.status_code in REFUSED:
            return KeyRefusedError(
                f"the Qdrant server at {address} refuses the API key; check CROSSFIX_QDRANT_API_KEY"
            )
        return StoreUnavailableError(
            f"the Qdrant server at {address} answered {error.status_code}: {text}"
        )
    if isinstance(error, (ResponseHandlingException, ResourceExhaustedResponse, OSError)):
        return StoreUnavailableError(f"the Qdrant server at {address} does not answer: {error}")
    return StoreUnavailableError(
        f"what answers at {address} is no Qdrant server, or a broken one: {error}"
    )


def _says_full(text: str) -> bool:
    return any(words in text for words in FULL_WORDS)
