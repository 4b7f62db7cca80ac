"""Idempotency keys: what a request finds under its key, and the port of the store."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that can be sent again.

    Attributes:
        headers: names in lower case, and values.
        body: the bytes; None when they were too many to store.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class IdempotencyState(StrEnum):
    """What a request finds under its idempotency key."""

    CLAIMED = "claimed"
    """The key was free and is now claimed by this request, which has to do the work."""

    PENDING = "pending"
    """The same request was received before and is still being answered."""

    DONE = "done"
    """The same request was answered before."""

    DIFFERENT = "different"
    """A different request used the key."""


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The outcome of a claim; `ticket` is set when it is claimed, `answer` when it is done."""

    state: IdempotencyState
    ticket: str = ""
    answer: StoredResponse | None = None


CLAIM_LIFETIME_S = 60.0
"""How long an unrenewed claim holds: a killed replica blocks its keys for this long."""

RESPONSE_LIFETIME_S = 24 * 3600.0
"""How long a response is kept."""


class IdempotencyStore(Protocol):
    """Responses by idempotency key, which expire. Safe to call from many threads."""

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        """Claim the key for the request with this fingerprint, or return its state."""

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        """Extend the claim by its lifetime; do nothing when the ticket no longer holds the key."""

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredResponse) -> None:
        """Store the response to the request that claimed the key."""

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        """Give up the claim, because the request failed and changed nothing."""
