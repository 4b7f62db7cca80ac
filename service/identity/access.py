"""Who may ask what: roles, keys, the one who asks, and what access needs from the outside.

A key is `cfx_<id>_<secret>`. The id is public and finds the record; the secret is 256 random bits,
so a plain SHA-256 of the key is kept: a slow password hash protects what people make up and others
can guess, and would only make each request expensive here.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from service.identity.records import UtcTime

ID_BYTES, SECRET_BYTES = 6, 32
KEY_FORM = re.compile(rf"cfx_([0-9a-f]{{{2 * ID_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")


class Role(StrEnum):
    """What a key allows; each role may do what those before it may."""

    READER = "reader"
    """Match, verify, and read."""

    CURATOR = "curator"
    """Change the gallery."""

    ADMIN = "admin"
    """Administer keys and bundles."""

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks.

    Attributes:
        name: as given when the key was made.
        role: what may be done.
        key_id: the public part of the key; None when no key had to be shown.
    """

    name: str
    role: Role
    key_id: str | None


ANYBODY = Principal("anybody", Role.ADMIN, None)
"""Who asks where no keys have been made."""


class KeyRecord(BaseModel):
    """What is kept of a key; the key itself is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=rf"^[0-9a-f]{{{2 * ID_BYTES}}}$")
    name: str = Field(min_length=1, max_length=100)
    role: Role
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    created_at: UtcTime
    expires_at: UtcTime | None = None
    revoked_at: UtcTime | None = None

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key(
    name: str, role: Role, now: datetime, expires_at: datetime | None = None
) -> tuple[KeyRecord, str]:
    """A new key: what is kept of it, and the key itself, which is shown once."""
    key_id = secrets.token_hex(ID_BYTES)
    key = f"cfx_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    record = KeyRecord(
        id=key_id,
        name=name,
        role=role,
        sha256=_digest(key),
        created_at=now,
        expires_at=expires_at,
    )
    return record, key


class KeyRing:
    """The keys that have been made; immutable."""

    def __init__(self, records: Sequence[KeyRecord]) -> None:
        self.records = tuple(records)
        self._by_id = {record.id: record for record in records}

    @property
    def asks(self) -> bool:
        """Whether a key has to be shown: once one was made, even when all are revoked."""
        return bool(self.records)

    def usable(self, now: datetime) -> list[KeyRecord]:
        """The keys that open something."""
        return [record for record in self.records if record.usable(now)]

    def identify(self, key: str, now: datetime) -> Principal | None:
        """Whose key it is; None when it is unknown, revoked or expired.

        Digests are compared in constant time, for unknown ids too.
        """
        form = KEY_FORM.fullmatch(key)
        record = self._by_id.get(form[1]) if form else None
        kept = record.sha256 if record else "0" * 64
        same = hmac.compare_digest(_digest(key), kept)
        if record is None or not same or not record.usable(now):
            return None
        return Principal(record.name, record.role, record.id)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class KeyBook(Protocol):
    """Where keys are kept. Called for every request, so it answers at once."""

    def ring(self) -> KeyRing:
        """The keys as they are now."""
        ...


class RateLimiter(Protocol):
    """Shares out requests. Safe to call from many threads."""

    def take(self, caller: str) -> float:
        """Take one request of this caller.

        Returns:
            0 when it is granted, otherwise the seconds after which it would be.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A response that can be given once more.

    Attributes:
        status: HTTP status.
        headers: names in lower case, and values.
        body: the bytes; None when they were too many to keep.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class ClaimState(StrEnum):
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
class Claim:
    """The outcome of a claim: `ticket` when it is mine, `answer` when it is done."""

    state: ClaimState
    ticket: str = ""
    answer: StoredAnswer | None = None


CLAIM_S = 60.0
"""How long a claim holds unless it is renewed: so long a killed replica's keys are taken."""


class AnswerStore(Protocol):
    """Answers by idempotency key, which expire. Safe to call from many threads."""

    def claim(self, key: str, fingerprint: str) -> Claim:
        """Reserve the key for the request with this fingerprint, or tell what is there."""
        ...

    def renew(self, key: str, fingerprint: str, ticket: str) -> None:
        """Hold the key for as long again; nothing where it is not held any more."""
        ...

    def finish(self, key: str, fingerprint: str, ticket: str, answer: StoredAnswer) -> None:
        """Keep the answer to the request that claimed the key."""
        ...

    def release(self, key: str, fingerprint: str, ticket: str) -> None:
        """Give the key up: the request failed and changed nothing."""
        ...
