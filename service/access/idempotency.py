"""Idempotency keys: what a request finds under its key, and the port of the store."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response that can be given once more.

    Attributes:
        status: HTTP status.
        headers: names in lower case, and values.
        body: the bytes; None when they were too many to keep.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class IdempotencyState(StrEnum):
    """What a request finds under its idempotency key."""

    MINE = "mine"
    """Nothing: the work is this request's to do."""

    PENDING = "pending"
    """The same request, still being answered."""

    DONE = "done"
    """The same request, answered."""

    OTHER = "other"
    """Another request."""


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The outcome of a claim: `ticket` when it is mine, `answer` when it is done."""

    state: IdempotencyState
    ticket: str = ""
    answer: StoredResponse | None = None


CLAIM_S = 60.0
"""How long a claim holds unless it is renewed: so long a killed replica's keys are taken."""


class IdempotencyStore(Protocol):
    """Answers by idempotency key, which expire. Safe to call from many threads."""

    def claim(self, key: str, fingerprint: str) -> IdempotencyClaim:
        """Reserve the key for the request with this fingerprint, or tell what is there."""
        ...

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        """Hold the key for as long again; nothing where it is not held any more."""
        ...

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredResponse) -> None:
        """Keep the answer to the request that claimed the key."""
        ...

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        """Give the key up: the request failed and changed nothing."""
        ...
