"""API keys: their form, the record of a key, and how a key is identified."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from service.access.roles import Principal, Role
from service.contract.utc_time import BoundTime

ID_BYTES, SECRET_BYTES = 6, 32
KEY_FORM = re.compile(rf"cfx_([0-9a-f]{{{2 * ID_BYTES}}})_[0-9a-f]{{{2 * SECRET_BYTES}}}")


class KeyRecord(BaseModel):
    """A key without its secret, which is not stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=rf"^[0-9a-f]{{{2 * ID_BYTES}}}$")
    name: str = Field(min_length=1, max_length=100)
    role: Role
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    created_at: BoundTime
    expires_at: BoundTime | None = None
    revoked_at: BoundTime | None = None

    def usable(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key(
    name: str, role: Role, now: datetime, expires_at: datetime | None = None
) -> tuple[KeyRecord, str]:
    """Make a key; return its record, and the key itself, which is shown once."""
    key_id = secrets.token_hex(ID_BYTES)
    key = f"cfx_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    record = KeyRecord(
        id=key_id, name=name, role=role, sha256=_digest(key), created_at=now, expires_at=expires_at
    )
    return record, key


class KeyRing:
    """The keys that were made; immutable."""

    def __init__(self, records: Sequence[KeyRecord]) -> None:
        self.records = tuple(records)
        self._by_id = {record.id: record for record in records}

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key: once a key was made, even when all are revoked."""
        return bool(self.records)

    def record(self, key_id: str) -> KeyRecord | None:
        """Return the record of the key with this id, usable or not; None if there is none."""
        return self._by_id.get(key_id)

    def identify(self, key: str, now: datetime) -> Principal | None:
        """Return the principal of a key; None when the key is unknown, revoked or expired.

        Digests are compared in constant time, also for unknown ids.
        """
        form = KEY_FORM.fullmatch(key)
        record = self._by_id.get(form[1]) if form else None
        expected = record.sha256 if record else "0" * 64
        same = hmac.compare_digest(_digest(key), expected)
        if record is None or not same or not record.usable(now):
            return None
        return Principal(record.name, record.role, record.id)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class KeyStore(Protocol):
    """Stores keys. Called for every request, so it must return at once."""

    def ring(self) -> KeyRing:
        """Return the current keys."""
